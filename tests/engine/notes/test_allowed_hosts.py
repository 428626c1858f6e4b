"""Only pages of our own hosts may open sockets: the decorator stands on top of the one that finds the user."""

import pytest

from channels.auth import channel_session_user_from_http
from channels.routing import route
from channels.security.websockets import allowed_hosts_only

from ..sites import Socket

pytestmark = pytest.mark.django_db


# Connected to websocket.connect
@allowed_hosts_only
@channel_session_user_from_http
def ws_add(message):
    # Accept connection
    message.reply_channel.send({"accept": True})


channel_routing = [route("websocket.connect", ws_add)]


@pytest.fixture
def answer(make_site, settings):
    """Return a function that connects a socket with some headers, and returns the answer."""
    settings.ALLOWED_HOSTS = ["chat.example"]
    site = make_site(channel_routing)
    return lambda *headers: Socket(site, headers=list(headers)).connect()


def test_a_page_of_ours_may_connect(answer):
    assert answer([b"origin", b"http://chat.example"]) == [{"accept": True}]


def test_a_page_of_another_host_may_not(answer):
    assert answer([b"origin", b"http://elsewhere.example"]) == [{"accept": False}]


def test_without_a_valid_origin_nobody_may(answer):
    assert answer() == answer([b"origin", b"chat.example"]) == [{"accept": False}]
