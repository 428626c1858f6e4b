"""Counting with ``enforce_ordering``: the messages of a socket run in the order in which they were sent."""

# ruff: noqa: UP031

import pytest
from django.conf import settings as site_settings
from django.contrib.auth import get_user_model

from channels import Group
from channels.auth import channel_session_user, channel_session_user_from_http
from channels.routing import route
from channels.sessions import enforce_ordering

from ..sites import PAGE, Socket

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
    replies = [socket.send(text) for text in ("one", "two", "three")]

    assert [reply["text"] for [reply] in replies] == ["1. one", "2. two", "3. three"]


# With users.


@enforce_ordering
@channel_session_user_from_http
def enter(message):
    message.reply_channel.send({"accept": True})
    Group("initial-%s" % message.user.username[0]).add(message.reply_channel)


@enforce_ordering
@channel_session_user
def speak(message):
    Group("initial-%s" % message.user.username[0]).send({"text": "%s: %s" % (message.user, message["text"])})


@enforce_ordering
@channel_session_user
def go(message):
    Group("initial-%s" % message.user.username[0]).discard(message.reply_channel)


user_routing = [
    route("websocket.connect", enter),
    route("websocket.receive", speak),
    route("websocket.disconnect", go),
]


def test_what_a_user_says_is_heard_in_order_and_the_end_comes_last(make_site, client):
    client.force_login(get_user_model().objects.create_user("anna"))
    cookie = client.cookies[site_settings.SESSION_COOKIE_NAME]
    site = make_site(user_routing)
    socket = Socket(site, headers=[PAGE, [b"cookie", f"{cookie.key}={cookie.value}".encode()]])
    replies = [socket.connect(), socket.send("one"), socket.send("two"), socket.disconnect()]

    assert replies == [[{"accept": True}], [{"text": "anna: one"}], [{"text": "anna: two"}], []]
    assert site.layer.group_channels("initial-a") == []
