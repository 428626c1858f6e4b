import pytest
from django.conf import settings as site_settings
from django.contrib.auth import HASH_SESSION_KEY, get_user_model
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.test import Client

from channels import Channel, route
from channels.auth import (
    channel_and_http_session_user_from_http,
    channel_session_user,
    channel_session_user_from_http,
    http_session_user,
    transfer_user,
    user_of,
)
from channels.sessions.http_session import channel_and_http_session

from .sites import PAGE, Socket

pytestmark = pytest.mark.django_db


def say_who(message):
    message.reply_channel.send({"text": message.user.get_username() or "anonymous"})


def say_nothing(message):
    pass


@pytest.fixture
def anna():
    return get_user_model().objects.create_user("anna", password="river-stone-77")


@pytest.fixture
def client(anna):
    """Give the browser in which Anna is signed in."""
    client = Client()
    client.force_login(anna)
    return client


def headers_of(client):
    key = client.cookies[site_settings.SESSION_COOKIE_NAME].value
    return [[b"cookie", f"{site_settings.SESSION_COOKIE_NAME}={key}".encode()]]


@pytest.fixture
def open_socket(make_site):
    """Return a function that opens a socket for a browser, or for nobody, and returns it with who it said to be."""
    routing = [
        route("websocket.connect", channel_session_user_from_http(say_who)),
        route("websocket.receive", channel_session_user(say_who)),
        route("websocket.disconnect", channel_session_user(say_nothing)),
    ]

    def open_socket(client=None, routing=routing):
        socket = Socket(
            make_site(routing, default_routes=True), headers=[PAGE, *(headers_of(client) if client else [])]
        )
        [reply] = socket.connect()
        return socket, reply["text"]

    return open_socket


def who(socket):
    [reply] = socket.send("who am I?")
    return reply["text"]


# Who it is


def test_the_user_of_the_visitors_session_is_the_user_of_the_socket(open_socket, client):
    socket, connected = open_socket(client)

    assert connected == who(socket) == "anna"


def test_a_visitor_who_is_not_signed_in_is_anonymous(open_socket):
    strangers = Client()
    session = strangers.session
    session["basket"] = 1
    session.save()

    for client in (None, strangers):
        socket, connected = open_socket(client)
        assert connected == who(socket) == "anonymous"


def test_the_user_of_the_visitors_session_can_be_had_without_a_channel_session(open_socket, client):
    rows = Session.objects.count()
    _, connected = open_socket(client, [route("websocket.connect", http_session_user(say_who))])

    assert connected == "anna"
    assert Session.objects.count() == rows
    assert open_socket(None, [route("websocket.connect", http_session_user(say_who))])[1] == "anonymous"


def test_the_way_back_to_the_visitors_session_can_be_kept(open_socket, client):
    @channel_and_http_session
    def receive(message):
        message.reply_channel.send({"text": str(message.http_session and message.http_session.get("basket"))})

    session = client.session
    session["basket"] = 7
    session.save()
    socket, connected = open_socket(
        client,
        [
            route("websocket.connect", channel_and_http_session_user_from_http(say_who)),
            route("websocket.receive", receive),
        ],
    )

    assert connected == "anna"
    assert who(socket) == "7"


# When it changes


def test_a_changed_password_counts_from_the_next_message_on_and_the_session_stays(open_socket, client, anna):
    socket, _ = open_socket(client)
    before = socket.session
    anna.set_password("another-stone-78")
    anna.save()

    assert who(socket) == "anonymous"
    assert socket.session == before
    assert HASH_SESSION_KEY in before
    assert SessionStore(client.session.session_key).exists(client.session.session_key)


def test_a_closed_account_counts_from_the_next_message_on(open_socket, client, anna):
    socket, _ = open_socket(client)
    anna.is_active = False
    anna.save()
    assert who(socket) == "anonymous"

    anna.delete()
    assert who(socket) == "anonymous"


def test_a_replaced_secret_key_signs_nobody_out_and_changes_no_session(open_socket, client, settings):
    socket, _ = open_socket(client)
    before = socket.session
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "a new secret"

    assert who(socket) == "anna"
    assert socket.session == before
    assert Session.objects.count() == 1


def test_the_visitors_session_is_not_touched_by_a_socket(open_socket, client, anna, settings):
    before = dict(client.session.items())
    anna.set_password("another-stone-78")
    anna.save()
    _, connected = open_socket(client, [route("websocket.connect", http_session_user(say_who))])

    assert connected == "anonymous"
    assert dict(SessionStore(client.session.session_key).items()) == before


def test_a_way_to_sign_in_that_the_site_has_given_up_counts_no_more(open_socket, client, settings):
    socket, _ = open_socket(client)
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.RemoteUserBackend"]

    assert who(socket) == "anonymous"


# What it costs


def test_nothing_is_asked_before_the_user_is_used(open_socket, client, django_assert_num_queries):
    socket, _ = open_socket(client)

    with django_assert_num_queries(0):
        socket.disconnect()
    with django_assert_num_queries(1):
        who(socket)


def test_a_socket_of_nobody_stores_nothing(open_socket):
    open_socket()

    assert not Session.objects.exists()


# The parts


def test_a_login_is_transferred_as_it_is_and_so_is_its_absence():
    keys = {"_auth_user_id": "1", "_auth_user_backend": "a.Backend", "_auth_user_hash": "abc"}
    target = {"room": "kitchen", "_auth_user_id": "2"}
    transfer_user({**keys, "basket": 7}, target)
    assert target == {"room": "kitchen", **keys}

    transfer_user({"basket": 7}, target)
    assert target == {"room": "kitchen"}


def test_a_login_can_be_moved_by_hand(make_site, client, anna):
    @channel_and_http_session
    def connect(message):
        transfer_user(message.http_session, message.channel_session)

    site = make_site(
        [route("websocket.connect", connect), route("websocket.receive", channel_session_user(say_who))],
    )
    socket = Socket(site, headers=[PAGE, *headers_of(client)])
    socket.connect()

    assert who(socket) == "anna"


def test_a_message_that_a_consumer_sends_on_brings_the_user_along(open_socket, client):
    def send_on(message):
        Channel("jobs").send({"reply_channel": message.reply_channel.name})

    socket, _ = open_socket(
        client,
        [
            route("websocket.connect", channel_session_user_from_http(say_who)),
            route("websocket.receive", send_on),
            route("jobs", channel_session_user(say_who)),
        ],
    )

    assert who(socket) == "anna"


def test_without_a_session_there_is_an_anonymous_user():
    assert user_of(None) == AnonymousUser()
    assert user_of({}).is_anonymous


@pytest.mark.parametrize("decorator", [http_session_user, channel_session_user_from_http])
def test_the_visitors_user_is_known_when_a_socket_connects_and_anonymous_later(open_socket, client, decorator, caplog):
    routing = [
        route("websocket.connect", channel_session_user_from_http(say_who)),
        route("websocket.receive", channel_session_user(say_who), text="and who was kept?"),
        route(["websocket.receive", "websocket.disconnect"], decorator(say_who)),
    ]
    socket, connected = open_socket(client, routing)

    assert connected == "anna"
    assert who(socket) == "anonymous"
    # The one that is kept stays.
    assert socket.send("and who was kept?") == [{"text": "anna"}]
    assert socket.disconnect() == [{"text": "anonymous"}]
    assert caplog.text == ""


def test_with_the_way_back_the_user_is_known_on_every_message(open_socket, client):
    both = channel_and_http_session_user_from_http(say_who)
    socket, connected = open_socket(client, [route(["websocket.connect", "websocket.receive"], both)])

    assert connected == who(socket) == "anna"
    client.logout()
    assert who(socket) == "anonymous"
