"""The sockets of a user are looked at when something about the account has changed, and those who may not stay go."""

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group as AuthGroup
from django.contrib.auth.models import Permission
from django.contrib.sessions.models import Session
from django.db import transaction
from django.test import Client

from channels import Group, route
from channels.auth import (
    channel_and_http_session_user_from_http,
    channel_session_user,
    channel_session_user_from_http,
    still_signed_in,
)
from channels.security.accounts import recheck_sockets

from ..sites import PAGE, Socket

SIGNED_OUT = [{"close": 4401}]


def connect(message):
    message.reply_channel.send({"accept": True})


def say_who(message):
    message.reply_channel.send({"text": message.user.get_username() or "anonymous"})


ROUTING = [
    route("websocket.connect", channel_session_user_from_http(connect)),
    route("websocket.receive", channel_session_user(say_who)),
]


@pytest.fixture(autouse=True)
def follow(settings):
    settings.CHANNELS_SOCKETS_FOLLOW_ACCOUNT = 60


@pytest.fixture
def site(make_site, transactional_db):
    return make_site(ROUTING, default_routes=True)


@pytest.fixture
def anna(transactional_db):
    return get_user_model().objects.create_user("anna", password="river-stone-77")


def browser_of(user):
    client = Client()
    client.force_login(user)
    return client


def open_socket(site, client):
    cookie = client.cookies.output(header="", sep=";").strip().split(";")[0]
    socket = Socket(site, headers=[PAGE, [b"cookie", cookie.encode()]])
    assert socket.connect() == [{"accept": True}]
    return socket


def told(socket):
    """Return what a socket gets when all is done that waits: it is asked, and a worker looks at it."""
    socket.received()
    socket.site.work()
    return socket.received()


@pytest.fixture
def sockets(site, anna):
    """Give two sockets of Anna's, in two browsers, and one of Ben's."""
    ben = get_user_model().objects.create_user("ben")
    return [open_socket(site, browser_of(user)) for user in (anna, anna, ben)]


def close_account(anna):
    anna.is_active = False
    anna.save()


def change_password(anna):
    anna.set_password("another-stone-78")
    anna.save(update_fields=["password"])


def delete_many(anna):
    get_user_model().objects.filter(pk=anna.pk).delete()


@pytest.mark.parametrize("change", [close_account, change_password, delete_many])
def test_who_may_not_stay_is_closed_and_others_are_not(sockets, anna, change):
    change(anna)

    assert [told(socket) for socket in sockets] == [SIGNED_OUT, SIGNED_OUT, []]


def test_a_log_out_ends_the_sockets_of_that_browser_alone(site, anna):
    here, there = browser_of(anna), browser_of(anna)
    sockets = [open_socket(site, client) for client in (here, here, there)]
    here.logout()

    assert [told(socket) for socket in sockets] == [SIGNED_OUT, SIGNED_OUT, []]


def test_a_log_out_ends_all_sockets_where_sessions_are_in_cookies(site, anna, settings):
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    here, there = browser_of(anna), browser_of(anna)
    sockets = [open_socket(site, client) for client in (here, there)]
    here.logout()

    assert [socket.received() for socket in sockets] == [SIGNED_OUT, SIGNED_OUT]


def test_who_changes_the_own_password_comes_back_signed_in_and_the_others_do_not(site, anna, rf):
    from django.contrib.auth import update_session_auth_hash

    here, there = browser_of(anna), browser_of(anna)
    sockets = [open_socket(site, client) for client in (here, there)]
    request = rf.get("/")
    request.session, request.user = here.session, anna
    change_password(anna)
    update_session_auth_hash(request, anna)
    request.session.save()
    here.cookies["sessionid"] = request.session.session_key

    assert [told(socket) for socket in sockets] == [SIGNED_OUT, SIGNED_OUT]
    assert [open_socket(site, client).send("who?") for client in (here, there)] == [
        [{"text": "anna"}],
        [{"text": "anonymous"}],
    ]


def test_nothing_happens_for_what_is_rolled_back(sockets, anna):
    with transaction.atomic():
        close_account(anna)
        transaction.set_rollback(True)

    assert [told(socket) for socket in sockets] == [[], [], []]


def test_nothing_is_asked_for_a_log_in(sockets, anna):
    browser_of(anna)

    sockets[0].received()
    assert sockets[0].site.received("websocket.recheck") == []


def test_nothing_is_asked_without_the_setting(sockets, anna, settings):
    settings.CHANNELS_SOCKETS_FOLLOW_ACCOUNT = 0
    close_account(anna)

    assert [told(socket) for socket in sockets] == [[], [], []]


# Rights


def editors_only(message):
    message.user.has_perm("auth.change_user") or message.reply_channel.send({"text": "no more"})
    message.user.has_perm("auth.change_user") or Group("editors").discard(message.reply_channel)


RIGHT = "change_user"


def lose_group(anna, group, right):
    anna.groups.remove(group)


def lose_all_groups(anna, group, right):
    anna.groups.clear()


def be_removed(anna, group, right):
    group.user_set.remove(anna)


def be_cleared(anna, group, right):
    group.user_set.clear()


def group_loses(anna, group, right):
    group.permissions.remove(right)


def right_is_taken(anna, group, right):
    right.group_set.clear()


def group_is_deleted(anna, group, right):
    AuthGroup.objects.all().delete()


@pytest.mark.parametrize(
    "change", [lose_group, lose_all_groups, be_removed, be_cleared, group_loses, right_is_taken, group_is_deleted]
)
def test_a_consumer_of_the_site_says_who_may_still_be_in_a_group(make_site, anna, change):
    site = make_site([*ROUTING, route("websocket.recheck", still_signed_in(editors_only))])
    right, _ = Permission.objects.get_or_create(
        codename=RIGHT, content_type=_content_type(), defaults={"name": "Can change user"}
    )
    group = AuthGroup.objects.create(name="editors")
    group.permissions.add(right)
    anna.groups.add(group)
    socket = open_socket(site, browser_of(anna))
    Group("editors").add(socket.reply_channel)
    assert told(socket) == []

    change(anna, group, right)

    assert told(socket) == [{"text": "no more"}]
    Group("editors").send({"text": "for editors"})
    assert socket.received() == []
    assert socket.send("who?") == [{"text": "anna"}]


def _content_type():
    from django.contrib.contenttypes.models import ContentType

    return ContentType.objects.get_for_model(get_user_model())


def test_a_site_has_sockets_looked_at_for_what_no_signal_tells(sockets, anna):
    get_user_model().objects.filter(pk=anna.pk).update(is_active=False)
    assert told(sockets[0]) == []

    recheck_sockets([anna.pk])

    assert [told(socket) for socket in sockets] == [SIGNED_OUT, SIGNED_OUT, []]


# While it connects


@pytest.mark.parametrize("decorator", [channel_session_user_from_http, channel_and_http_session_user_from_http])
def test_a_change_while_a_socket_connects_is_not_missed(make_site, anna, decorator):
    def connect(message):
        assert message.user.is_authenticated
        close_account(anna)
        message.reply_channel.send({"accept": True})

    site = make_site([route("websocket.connect", decorator(connect)), *ROUTING[1:]], default_routes=True)

    assert told(open_socket(site, browser_of(anna))) == SIGNED_OUT


def test_who_signs_out_before_the_socket_is_known_to_be_his_is_nobody(make_site, anna, monkeypatch):
    found = []
    site = make_site([route("websocket.connect", channel_session_user_from_http(_noting(found)))], default_routes=True)
    join = Group.add

    def add(group, channel):
        Session.objects.all().delete()
        join(group, channel)

    monkeypatch.setattr(Group, "add", add)
    open_socket(site, browser_of(anna))

    assert found == [False]


def _noting(found):
    def connect(message):
        found.append(message.user.is_authenticated)
        message.reply_channel.send({"accept": True})

    return connect
