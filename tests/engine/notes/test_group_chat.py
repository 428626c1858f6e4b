"""The echo becomes a chat."""
# ruff: noqa: UP031

from channels import Group
from channels.routing import route

from ..sites import Socket


# Connected to websocket.connect
def ws_add(message):
    # Accept the connection
    message.reply_channel.send({"accept": True})
    # Add to the chat group
    Group("chat").add(message.reply_channel)


# Connected to websocket.receive
def ws_message(message):
    Group("chat").send(
        {
            "text": "[user] %s" % message.content["text"],
        }
    )


# Connected to websocket.disconnect
def ws_disconnect(message):
    Group("chat").discard(message.reply_channel)


channel_routing = [
    route("websocket.connect", ws_add),
    route("websocket.receive", ws_message),
    route("websocket.disconnect", ws_disconnect),
]


def test_a_socket_is_in_the_group_from_its_connect_to_its_disconnect(make_site):
    site = make_site([route("websocket.connect", ws_add), route("websocket.disconnect", ws_disconnect)])
    socket = Socket(site)

    assert socket.connect() == [{"accept": True}]
    assert site.layer.group_channels("chat") == [socket.reply_channel]
    socket.disconnect()
    assert site.layer.group_channels("chat") == []


def test_what_one_says_all_hear_who_are_there(make_site):
    site = make_site("tests.engine.notes.test_group_chat.channel_routing")
    anna, ben, carl = Socket(site), Socket(site), Socket(site)
    for socket in (anna, ben, carl):
        socket.connect()
    carl.disconnect()

    assert anna.send("hello") == [{"text": "[user] hello"}]
    assert ben.received() == [{"text": "[user] hello"}]
    assert carl.received() == []


def test_pages_still_come_from_the_views(make_site, views):
    site = make_site(channel_routing, default_routes=True)

    assert site.request("/hello/")[0]["content"] == b"Hello, world"
