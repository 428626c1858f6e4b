import logging

import pytest
from django.conf import settings as site_settings
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.backends.signed_cookies import SessionStore as CookieSessionStore

from channels import route
from channels.http_sessions import channel_and_http_session, http_session

from .sites import Socket

pytestmark = pytest.mark.django_db


@http_session
def connect(message):
    found = message.http_session
    message.reply_channel.send({"text": "none" if found is None else found.get("name", "no name")})


@pytest.fixture
def visitor():
    """Give the stored session of a visitor."""
    session = SessionStore()
    session["name"] = "Anna"
    session.save()
    return session


def cookie(key, name=site_settings.SESSION_COOKIE_NAME):
    return [b"cookie", f"{name}={key}".encode()]


def greeting(make_site, *headers, consumer=connect, **content):
    """Connect a socket, and return what the consumer found in the visitor's session."""
    site = make_site([route("websocket.connect", consumer)])
    [reply] = Socket(site, headers=list(headers), **content).connect()
    return reply["text"]


def test_the_session_is_that_of_the_cookie(make_site, visitor):
    assert greeting(make_site, cookie(visitor.session_key)) == "Anna"


def test_the_cookie_may_stand_among_others_and_in_any_of_several_headers(make_site, visitor):
    others = [b"cookie", b"a=1; b=2"]
    capital = [b"Cookie", cookie(visitor.session_key)[1] + b"; c=3"]

    assert greeting(make_site, [b"host", b"testserver"], others, capital) == "Anna"


def test_the_name_of_the_cookie_is_that_of_the_setting(make_site, visitor, settings):
    settings.SESSION_COOKIE_NAME = "__Host-sessionid"

    assert greeting(make_site, cookie(visitor.session_key, "__Host-sessionid")) == "Anna"
    assert greeting(make_site, cookie(visitor.session_key, "sessionid")) == "none"


def test_without_a_session_there_is_none(make_site, visitor):
    visitor.delete()

    assert greeting(make_site) == "none"
    for key in (visitor.session_key, "short", "", "k" * 32):
        assert greeting(make_site, cookie(key)) == "none"


def test_a_session_that_has_expired_is_none(make_site, visitor):
    visitor.set_expiry(-1)
    visitor.save()

    assert greeting(make_site, cookie(visitor.session_key)) == "none"


def test_it_is_read_once_and_never_saved(make_site, visitor, django_assert_num_queries):
    @http_session
    @http_session
    def consumer(message):
        message.http_session["name"] = "Ben"
        message.reply_channel.send({"text": message.http_session["name"]})

    with django_assert_num_queries(1):
        assert greeting(make_site, cookie(visitor.session_key), consumer=consumer) == "Ben"
    assert SessionStore(visitor.session_key)["name"] == "Anna"


def test_a_session_may_be_the_cookie_itself(make_site, settings):
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    session = CookieSessionStore()
    session["name"] = "Anna"
    session.save()

    assert greeting(make_site, cookie(session.session_key)) == "Anna"
    assert greeting(make_site, cookie(session.session_key[:-1])) == "none"


def test_a_message_without_headers_cannot_have_one(make_site, caplog):
    site = make_site([route("websocket.receive", connect)])
    site.consume("websocket.receive", text="hello")

    assert "A message on websocket.receive has no headers" in caplog.text
    assert "channel_and_http_session for the rest" in caplog.text


# The key in the URL


def test_the_key_in_the_url_counts_only_if_the_site_says_so(make_site, visitor, settings, caplog):
    query = f"a=1&session_key={visitor.session_key}"

    assert greeting(make_site, query_string=query.encode()) == "none"
    [warning] = caplog.records
    assert warning.getMessage() == (
        "The session_key in the URL of '/' is ignored, since URLs land in logs. "
        "Set CHANNELS_SESSION_KEY_IN_URL = True to allow it."
    )
    caplog.clear()
    settings.CHANNELS_SESSION_KEY_IN_URL = True
    assert greeting(make_site, query_string=query.encode()) == "Anna"
    assert greeting(make_site, query_string=b"session_key=nothing") == "none"
    assert greeting(make_site, query_string=b"\xff") == "none"
    assert caplog.records == []


def test_the_cookie_comes_before_the_key_in_the_url(make_site, visitor, settings):
    settings.CHANNELS_SESSION_KEY_IN_URL = True
    other = SessionStore()
    other["name"] = "Mallory"
    other.save()
    query = f"session_key={other.session_key}".encode()

    assert greeting(make_site, cookie(visitor.session_key), query_string=query) == "Anna"


def test_the_key_is_never_logged(make_site, visitor, caplog):
    caplog.set_level(logging.DEBUG)
    greeting(make_site, cookie(visitor.session_key), query_string=f"session_key={visitor.session_key}".encode())
    greeting(make_site, query_string=f"session_key={visitor.session_key}".encode())

    assert visitor.session_key not in caplog.text


# Both sessions


@channel_and_http_session
def greet(message):
    name = "nobody" if message.http_session is None else message.http_session.get("name")
    count = message.channel_session["count"] = message.channel_session.get("count", 0) + 1
    message.reply_channel.send({"text": f"{name} {count}"})


@pytest.fixture
def open_socket(make_site):
    """Return a function that opens a socket with some headers."""
    site = make_site([route(["websocket.connect", "websocket.receive"], greet)])
    return lambda *headers: Socket(site, headers=list(headers))


def test_every_message_of_a_socket_finds_both_sessions(open_socket, visitor):
    socket = open_socket(cookie(visitor.session_key))

    assert socket.connect() == [{"text": "Anna 1"}]
    visitor["name"] = "Ben"
    visitor.save()
    assert socket.send("hello") == [{"text": "Ben 2"}]


def test_a_visitor_who_signs_out_is_noticed(open_socket, visitor):
    socket = open_socket(cookie(visitor.session_key))
    socket.connect()
    visitor.flush()

    assert socket.send("hello") == [{"text": "nobody 2"}]


def test_a_visitor_without_a_session_has_a_channel_session(open_socket):
    socket = open_socket()

    assert socket.connect() == [{"text": "nobody 1"}]
    assert socket.send("hello") == [{"text": "nobody 2"}]
