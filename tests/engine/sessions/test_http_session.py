import logging
from importlib import import_module

import pytest
from django.conf import settings as site_settings
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.backends.signed_cookies import SessionStore as CookieSessionStore
from django.contrib.sessions.models import Session

from channels import route
from channels.sessions.http_session import channel_and_http_session, http_session

from ..sites import PAGE, Socket

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
    [reply] = Socket(site, headers=[PAGE, *headers], **content).connect()
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


def test_it_is_read_once_and_not_saved_if_it_stays_the_same(make_site, visitor, django_assert_num_queries):
    with django_assert_num_queries(1):
        assert greeting(make_site, cookie(visitor.session_key), consumer=http_session(connect)) == "Anna"


def test_a_session_may_be_the_cookie_itself(make_site, cookie_visitor):
    assert greeting(make_site, cookie(cookie_visitor.session_key)) == "Anna"
    assert greeting(make_site, cookie(cookie_visitor.session_key[:-1])) == "none"


@pytest.mark.parametrize("channel", ["websocket.receive", "websocket.disconnect"])
def test_a_message_without_headers_has_none(make_site, channel, caplog):
    assert make_site([route(channel, connect)]).consume(channel) == [{"text": "none"}]
    assert caplog.text == ""


def test_a_message_from_no_connection_cannot_have_one(make_site, caplog):
    site = make_site([route("thumbnail", connect)])
    site.layer.send("thumbnail", {})
    site.work()

    assert "A message on thumbnail has neither headers nor reply_channel: it comes from no connection" in caplog.text


# What a consumer changes


def rename(message):
    message.http_session["name"] = "Ben"
    message.reply_channel.send({"text": "renamed"})


@pytest.mark.parametrize("engine", ["db", "cached_db", "cache", "file"])
@pytest.mark.parametrize("decorator", [http_session, channel_and_http_session])
def test_what_a_consumer_changes_in_it_is_stored(make_site, settings, engine, decorator, tmp_path):
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    settings.SESSION_FILE_PATH = tmp_path
    store = import_module(settings.SESSION_ENGINE).SessionStore
    visitor = store()
    visitor["basket"] = 7
    visitor.save()

    assert greeting(make_site, cookie(visitor.session_key), consumer=decorator(rename)) == "renamed"
    assert dict(store(visitor.session_key).items()) == {"basket": 7, "name": "Ben"}


def test_nothing_is_stored_when_the_consumer_fails(make_site, visitor):
    @http_session
    def consumer(message):
        rename(message)
        raise RuntimeError

    assert greeting(make_site, cookie(visitor.session_key), consumer=consumer) == "renamed"
    assert SessionStore(visitor.session_key)["name"] == "Anna"


def test_a_session_that_is_removed_meanwhile_stays_away(make_site, visitor, caplog):
    @http_session
    def consumer(message):
        rename(message)
        visitor.delete()

    caplog.set_level(logging.INFO)
    assert greeting(make_site, cookie(visitor.session_key), consumer=consumer) == "renamed"
    assert not Session.objects.exists()
    assert "removed while a consumer changed it" in caplog.text


def test_a_session_can_be_flushed(make_site, visitor, caplog):
    @http_session
    def consumer(message):
        message.http_session.flush()
        message.reply_channel.send({"text": "flushed"})

    assert greeting(make_site, cookie(visitor.session_key), consumer=consumer) == "flushed"
    assert not Session.objects.exists()
    assert caplog.text == ""


def flush_and_fill(session):
    session.flush()
    session["name"] = "Ben"


@pytest.mark.parametrize(
    "change", [lambda session: session.cycle_key(), lambda session: session.create(), flush_and_fill]
)
def test_a_consumer_cannot_give_its_visitor_a_new_session(make_site, visitor, change, caplog):
    @http_session
    def consumer(message):
        change(message.http_session)

    Socket(make_site([route("websocket.connect", consumer)]), headers=[PAGE, cookie(visitor.session_key)]).connect()

    assert "TypeError: A consumer cannot give its visitor a new session" in caplog.text
    assert set(Session.objects.values_list("pk", flat=True)) <= {visitor.session_key}


@pytest.fixture
def cookie_visitor(settings):
    """Give the session of a visitor that is the cookie itself."""
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    session = CookieSessionStore()
    session["name"] = "Anna"
    session.save()
    return session


@pytest.mark.parametrize(
    "change",
    [
        lambda session: session.update({"name": "Ben"}),
        lambda session: session.pop("name"),
        lambda session: session.set_expiry(60),
        lambda session: session.cycle_key(),
        lambda session: session.flush(),
        lambda session: session.save(),
    ],
)
def test_a_session_that_is_the_cookie_itself_cannot_be_changed_which_is_told_at_once(
    make_site, cookie_visitor, change, caplog
):
    @http_session
    def consumer(message):
        change(message.http_session)
        pytest.fail("It went on.")

    Socket(
        make_site([route("websocket.connect", consumer)]), headers=[PAGE, cookie(cookie_visitor.session_key)]
    ).connect()

    assert "TypeError: A consumer cannot change its visitor's session: SESSION_ENGINE keeps it in the" in caplog.text


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
    return lambda *headers: Socket(site, headers=[PAGE, *headers])


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
