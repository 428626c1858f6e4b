"""Counting with ``enforce_ordering``: the messages of a socket run in their order, whichever comes first."""

import pytest

from channels.routing import route
from channels.sessions import enforce_ordering

from ..sites import Socket

pytestmark = pytest.mark.django_db


@enforce_ordering
def ws_connect(message):
    message.channel_session["count"] = 0
    message.reply_channel.send({"accept": True})


@enforce_ordering
def ws_message(message):
    message.channel_session["count"] += 1
    message.reply_channel.send({"text": f"{message.channel_session['count']}. {message['text']}"})


channel_routing = [
    route("websocket.connect", ws_connect),
    route("websocket.receive", ws_message),
]


def test_messages_are_counted_in_the_order_in_which_they_were_sent(make_site):
    site = make_site(channel_routing)
    socket = Socket(site)
    socket.connect()
    first, second, third = (socket.message(text=text) for text in ("one", "two", "three"))
    for message in (third, second, first):
        site.layer.send("websocket.receive", message)
        site.work()

    assert [reply["text"] for reply in socket.received()] == ["1. one", "2. two", "3. three"]
