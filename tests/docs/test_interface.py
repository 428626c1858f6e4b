import re

from channels import channel_layers
from channels.interface import http, websocket
from channels.interface.http import HttpExchange
from channels.interface.websocket import WebSocket

from .pages import program, table_rows


def test_what_asgi_py_has_to_do_gives_an_application():
    channel_layer = program("docs/interface.md", "channel_layer").channel_layer

    assert channel_layer is channel_layers["default"]
    assert callable(channel_layer)


SCOPE = {"method": "GET", "path": "/", "root_path": "/app"}


def keys_of(channel):
    """Return the keys that the page names beside a channel: those in code of its row."""
    [row] = [row for row in table_rows("docs/interface.md", "Messages") if row[0] == channel]
    return set(re.findall(r"`(\w+)`", row[1]))


def test_the_messages_of_interface_servers_have_the_keys_on_the_page():
    exchange, socket = HttpExchange("/", "reply.a!1"), WebSocket("/", "reply.a!1")
    connect = socket.connect_message(SCOPE)
    frames = [socket.receive_message(event) for event in ({"text": "Hello"}, {"bytes": b"Hello"})]
    exchange.leave()
    socket.leave(1000)

    assert exchange.request_message(SCOPE, b"", None).keys() == keys_of("`http.request`")
    assert exchange.disconnect_message().keys() == keys_of("`http.disconnect`")
    assert connect.keys() == keys_of("`websocket.connect`") - {"scheme", "ws", "wss"} | {"scheme"}
    assert frames[0].keys() | frames[1].keys() == keys_of("`websocket.receive`")
    assert socket.take_disconnect_message().keys() == keys_of("`websocket.disconnect`")


def test_replies_may_have_the_keys_on_the_page():
    to_request = keys_of("reply to a request")

    assert to_request - {"response", "closed"} >= http._REPLY_KEYS
    assert keys_of("reply to a socket") == websocket._REPLY_KEYS
