"""Rooms: the room comes from the path, the name from the query string, and the session keeps it."""
# ruff: noqa: UP031

import json
from urllib.parse import parse_qs

import pytest

from channels import Group
from channels.routing import route
from channels.sessions import channel_session

from ..sites import Socket

pytestmark = pytest.mark.django_db


# Connected to websocket.connect
@channel_session
def ws_connect(message, room_name):
    # Accept connection
    message.reply_channel.send({"accept": True})
    # Parse the query string
    params = parse_qs(message.content["query_string"].decode())
    if "username" in params:
        # Set the username in the session
        message.channel_session["username"] = params["username"][0]
        # Add the user to the room_name group
        Group("chat-%s" % room_name).add(message.reply_channel)
    else:
        # Close the connection.
        message.reply_channel.send({"close": True})


# Connected to websocket.receive
@channel_session
def ws_message(message, room_name):
    Group("chat-%s" % room_name).send(
        {
            "text": json.dumps({"text": message["text"], "username": message.channel_session["username"]}),
        }
    )


# Connected to websocket.disconnect
@channel_session
def ws_disconnect(message, room_name):
    Group("chat-%s" % room_name).discard(message.reply_channel)


channel_routing = [
    route("websocket.connect", ws_connect, path=r"^/(?P<room_name>[a-zA-Z0-9_]+)/$"),
    route("websocket.receive", ws_message, path=r"^/(?P<room_name>[a-zA-Z0-9_]+)/$"),
    route("websocket.disconnect", ws_disconnect, path=r"^/(?P<room_name>[a-zA-Z0-9_]+)/$"),
]


def test_those_in_the_room_learn_who_said_what(make_site):
    site = make_site(channel_routing)
    anna = Socket(site, "/kitchen/", query_string=b"username=J%C3%BCrgen")
    ben = Socket(site, "/kitchen/", query_string=b"username=Ben")
    carl = Socket(site, "/garden/", query_string=b"username=Carl")
    for socket in (anna, ben, carl):
        assert socket.connect() == [{"accept": True}]
    anna.send("hello")

    assert [json.loads(reply["text"]) for reply in ben.received()] == [{"text": "hello", "username": "Jürgen"}]
    assert carl.received() == []


def test_who_gives_no_name_is_sent_away(make_site):
    site = make_site(channel_routing)

    assert Socket(site, "/kitchen/").connect() == [{"accept": True}, {"close": True}]
    assert site.layer.group_channels("chat-kitchen") == []


def test_who_has_left_is_in_no_room(make_site):
    site = make_site(channel_routing)
    socket = Socket(site, "/kitchen/", query_string=b"username=Anna")
    socket.connect()
    socket.disconnect()

    assert site.layer.group_channels("chat-kitchen") == []
