"""Users may talk to those whose name begins with the same letter: the login comes from the visitor's session."""
# ruff: noqa: UP031

import pytest
from django.conf import settings as site_settings
from django.contrib.auth import get_user_model
from django.test import Client

from channels import Group
from channels.auth import channel_session_user, channel_session_user_from_http
from channels.routing import route

from ..sites import PAGE, Socket

pytestmark = pytest.mark.django_db


# Connected to websocket.connect
@channel_session_user_from_http
def ws_add(message):
    # Accept connection
    message.reply_channel.send({"accept": True})
    # Add them to the right group
    Group("chat-%s" % message.user.username[0]).add(message.reply_channel)


# Connected to websocket.receive
@channel_session_user
def ws_message(message):
    Group("chat-%s" % message.user.username[0]).send(
        {
            "text": message["text"],
        }
    )


# Connected to websocket.disconnect
@channel_session_user
def ws_disconnect(message):
    Group("chat-%s" % message.user.username[0]).discard(message.reply_channel)


channel_routing = [
    route("websocket.connect", ws_add),
    route("websocket.receive", ws_message),
    route("websocket.disconnect", ws_disconnect),
]


def session_key_of(name):
    """Sign a user in, and return what the browser keeps in its cookie."""
    client = Client()
    client.force_login(get_user_model().objects.create_user(name))
    return client.cookies[site_settings.SESSION_COOKIE_NAME].value


def socket_of(name, site):
    cookie = f"{site_settings.SESSION_COOKIE_NAME}={session_key_of(name)}"
    return Socket(site, headers=[PAGE, [b"cookie", cookie.encode()]])


def test_users_hear_those_with_the_same_first_letter(make_site):
    site = make_site(channel_routing)
    anna, alex, ben = (socket_of(name, site) for name in ("anna", "alex", "ben"))
    for socket in (anna, alex, ben):
        assert socket.connect() == [{"accept": True}]
    anna.send("hello")

    assert alex.received() == [{"text": "hello"}]
    assert ben.received() == []
    alex.disconnect()
    assert site.layer.group_channels("chat-a") == [anna.reply_channel]


def test_the_key_in_the_url_counts_where_the_site_asks_for_it(make_site, settings):
    settings.CHANNELS_SESSION_KEY_IN_URL = True
    site = make_site(channel_routing)
    socket = Socket(site, query_string=f"session_key={session_key_of('anna')}".encode())

    assert socket.connect() == [{"accept": True}]
    assert site.layer.group_channels("chat-a") == [socket.reply_channel]


def test_the_key_in_the_url_does_not_count_otherwise(make_site, caplog):
    site = make_site(channel_routing)
    socket = Socket(site, query_string=f"session_key={session_key_of('anna')}".encode())
    socket.connect()

    assert site.layer.group_channels("chat-a") == []
    assert "Set CHANNELS_SESSION_KEY_IN_URL = True to allow it." in caplog.text
