import contextlib
import hashlib
import threading

import pytest
from django.contrib.auth import get_user_model
from django.contrib.sessions.backends.base import CreateError
from django.contrib.sessions.models import Session
from django.core.exceptions import ImproperlyConfigured
from django.http import JsonResponse
from django.urls import path

from channels import ConsumeLater, route
from channels.auth import transfer_user
from channels.sessions.channel_session import channel_session, session_for_reply_channel, session_key_of
from channels.worker import WorkerGroup

from ..sites import Socket

pytestmark = pytest.mark.django_db
REPLY = "reply.a!1"


@channel_session
def remember(message):
    message.channel_session["text"] = message["text"]


@channel_session
def recall(message):
    message.reply_channel.send({"text": message.channel_session.get("text", "nothing")})


def ignore(message):
    pass


ROUTES = [route("websocket.receive", remember), route("recall", recall), route("websocket.disconnect", ignore)]


def session():
    return session_for_reply_channel(REPLY)


# The life of a session


def test_what_one_consumer_stores_the_next_of_the_same_socket_finds(make_site):
    site = make_site(ROUTES)
    anna, ben = Socket(site), Socket(site)
    anna.send("hello")

    assert anna.consume("recall") == [{"text": "hello"}]
    assert ben.consume("recall") == [{"text": "nothing"}]


def test_it_is_kept_under_a_key_made_of_the_reply_channel(make_site):
    make_site(ROUTES).consume("websocket.receive", text="hello", reply_channel=REPLY)

    [row] = Session.objects.all()
    assert row.pk == session_key_of(REPLY)
    assert len(row.pk) == 32


def test_its_key_cannot_be_computed_from_the_reply_channel_alone(settings):
    before = session_key_of(REPLY)
    assert before != "chn" + hashlib.sha256(REPLY.encode()).hexdigest()[:29]

    settings.SECRET_KEY = "another secret"
    assert session_key_of(REPLY) != before


def test_its_key_stays_while_a_site_replaces_its_secret(settings):
    before = session_key_of(REPLY)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another secret", [settings.SECRET_KEY]

    assert session_key_of(REPLY) == before


@pytest.mark.parametrize("engine", ["db", "cached_db", "cache", "file"])
def test_it_is_no_session_of_a_visitor_even_for_those_who_know_its_key(settings, client, engine, tmp_path):
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    settings.SESSION_FILE_PATH = tmp_path
    settings.ROOT_URLCONF = __name__
    client.force_login(get_user_model().objects.create_user("anna"))
    assert client.get("/").json() == {"user": "anna", "text": None}
    mine = session()
    transfer_user(client.session, mine)
    mine["text"] = "hello"
    mine.save()
    client.cookies[settings.SESSION_COOKIE_NAME] = session_key_of(REPLY)

    assert session()["text"] == "hello"
    assert client.get("/").json() == {"user": "", "text": None}


def who(request):
    return JsonResponse({"user": request.user.get_username(), "text": request.session.get("text")})


urlpatterns = [path("", who)]


def test_it_is_removed_when_the_socket_disconnects_whichever_consumer_that_has(make_site):
    site = make_site(ROUTES)
    sockets = [Socket(site) for _ in range(3)]
    for socket in sockets:
        socket.send("hello")
        assert Session.objects.count() == 1
        socket.disconnect()
        assert Session.objects.count() == 0


def test_the_disconnect_consumer_still_finds_it_and_saves_nothing_any_more(make_site, django_assert_num_queries):
    @channel_session
    def disconnect(message):
        seen.append(message.channel_session["text"])
        message.channel_session["text"] = "goodbye"

    seen = []
    socket = Socket(make_site([route("websocket.receive", remember), route("websocket.disconnect", disconnect)]))
    socket.send("hello")
    # It is read, and found and removed.
    with django_assert_num_queries(3):
        socket.disconnect()

    assert seen == ["hello"]
    assert not Session.objects.exists()


def test_it_stays_as_long_as_the_disconnect_message_is_put_back(make_site):
    @channel_session
    def disconnect(message):
        seen.append(message.channel_session["text"])
        if len(seen) < 3:
            raise ConsumeLater

    seen = []
    socket = Socket(make_site([route("websocket.receive", remember), route("websocket.disconnect", disconnect)]))
    socket.send("hello")
    socket.disconnect()

    assert seen == ["hello"] * 3
    assert not Session.objects.exists()


def test_it_is_removed_when_the_disconnect_message_was_put_back_too_often(make_site):
    @channel_session
    def disconnect(message):
        raise ConsumeLater

    socket = Socket(make_site([route("websocket.receive", remember), route("websocket.disconnect", disconnect)]))
    socket.send("hello")
    socket.disconnect()

    assert not Session.objects.exists()


def test_it_outlives_the_logins_of_a_strict_site(make_site, settings):
    settings.SESSION_COOKIE_AGE = -1
    socket = Socket(make_site(ROUTES))
    socket.send("hello")

    assert socket.consume("recall") == [{"text": "hello"}]


def test_it_is_saved_after_an_exception_too(make_site):
    @channel_session
    def consumer(message):
        message.channel_session["text"] = "hello"
        raise RuntimeError

    make_site([route("websocket.receive", consumer)]).consume("websocket.receive", reply_channel=REPLY)

    assert session()["text"] == "hello"


def test_a_message_from_nowhere_has_none(make_site, caplog):
    site = make_site([route("thumbnail", recall)])
    site.layer.send("thumbnail", {})
    site.work()

    assert "A message on thumbnail has no reply_channel, so there is no socket" in caplog.text


def test_decorators_can_be_stacked_and_stand_on_methods(make_site):
    class Consumers:
        @channel_session
        @channel_session
        def receive(self, message, room):
            """Remember the room."""
            message.channel_session["room"] = room

    consumers = Consumers()
    site = make_site([route("websocket.receive", consumers.receive, path=r"^/(?P<room>\w+)/$")])
    site.consume("websocket.receive", path="/kitchen/", reply_channel=REPLY)

    assert session()["room"] == "kitchen"
    assert (Consumers.receive.__name__, Consumers.receive.__doc__) == ("receive", "Remember the room.")
    with pytest.raises(TypeError, match="called with a message as its first argument"):
        consumers.receive("no message")


def test_a_consumer_may_call_another_and_they_share_it(make_site):
    @channel_session
    def outer(message):
        message.channel_session["text"] = "from the outer one"
        recall(message)

    assert make_site([route("websocket.receive", outer)]).consume("websocket.receive") == [
        {"text": "from the outer one"}
    ]


# What is asked of the database


def test_a_session_that_nobody_looks_at_costs_nothing(make_site, django_assert_num_queries):
    socket = Socket(make_site([route("websocket.receive", channel_session(ignore))]))

    with django_assert_num_queries(0):
        socket.send("hello")


def test_one_that_is_only_read_is_read_once_and_not_saved(make_site, django_assert_num_queries):
    socket = Socket(make_site(ROUTES))
    socket.send("hello")

    with django_assert_num_queries(1):
        socket.consume("recall")


def test_one_that_stays_the_same_is_not_saved(make_site, django_assert_num_queries):
    socket = Socket(make_site(ROUTES))
    socket.send("hello")

    with django_assert_num_queries(1) as queries:
        socket.send("hello")
    assert queries.captured_queries[0]["sql"].startswith("SELECT")


def test_a_change_inside_of_a_value_is_noticed():
    first = session()
    first["list"] = [1]
    first.save()
    second = session()
    second["list"].append(2)
    second.save()

    assert session()["list"] == [1, 2]


# Several consumers of one socket at once


def test_a_save_changes_what_was_changed_and_nothing_else():
    before = session()
    before.update({"kept": 1, "changed": 1, "removed": 1})
    before.save()
    mine, theirs = session(), session()
    mine["changed"], mine["mine"] = 2, 1
    theirs["theirs"] = 1
    del theirs["removed"]
    assert mine["kept"] == 1
    theirs.save()
    mine.save()

    assert dict(session().items()) == {"kept": 1, "changed": 2, "mine": 1, "theirs": 1}
    assert dict(mine.items()) == dict(session().items())


def test_two_that_create_a_session_at_once_both_keep_their_values(monkeypatch):
    mine, theirs = session(), session()
    mine["mine"], theirs["theirs"] = 1, 1
    kind = type(mine)
    read = kind._read

    def read_and_be_overtaken(self):
        found = read(self)
        monkeypatch.setattr(kind, "_read", read)
        theirs.save()
        return found

    # Without the lock, which some databases cannot take on a row that is not there yet.
    monkeypatch.setattr(kind, "_locked", lambda self: contextlib.nullcontext())
    monkeypatch.setattr(kind, "_read", read_and_be_overtaken)
    mine.save()

    assert dict(session().items()) == {"mine": 1, "theirs": 1}


def test_a_session_that_can_never_be_created_is_told(monkeypatch):
    mine = session()
    mine["mine"] = 1
    other = session()
    other["other"] = 1
    other.save()
    monkeypatch.setattr(type(mine), "_read", lambda self: ({}, False))

    with pytest.raises(CreateError):
        mine.save()


@pytest.mark.django_db(transaction=True)
def test_fifty_consumers_at_once_in_four_threads_lose_nothing(make_site, threaded_db, caplog):
    done = threading.Semaphore(0)

    @channel_session
    def consumer(message):
        message.channel_session[message["key"]] = True

    def finish(message):
        try:
            consumer(message)
        finally:
            done.release()

    layer = make_site([route("websocket.receive", finish)]).layer
    group = WorkerGroup(layer, 4)
    group.start()
    keys = [f"key {number}" for number in range(50)]
    for key in keys:
        layer.send("websocket.receive", {"key": key, "reply_channel": REPLY})
    for _ in keys:
        assert done.acquire(timeout=30)
    group.stop()

    assert dict(session().items()) == dict.fromkeys(keys, True)
    assert [record.getMessage() for record in caplog.records if record.name.startswith("channels")] == []


# The methods of a session


def test_its_key_stays_whatever_is_done_with_it():
    mine = session()
    mine["a"] = 1
    mine.save()
    mine.cycle_key()
    mine["b"] = 2
    mine.save()
    assert dict(session().items()) == {"a": 1, "b": 2}

    mine = session()
    mine.flush()
    assert mine.session_key == session_key_of(REPLY)
    assert dict(session().items()) == {"a": 1, "b": 2}
    mine["c"] = 3
    mine.save()
    assert mine.session_key == session_key_of(REPLY)
    assert dict(session().items()) == {"c": 3}


def test_it_can_be_emptied():
    mine = session()
    mine["a"] = 1
    mine.save()
    mine = session()
    mine.clear()
    mine.save()

    assert dict(session().items()) == {}


# Engines


@pytest.mark.parametrize("engine", ["db", "cached_db", "cache", "file"])
def test_any_engine_on_the_server_will_do(make_site, settings, engine, tmp_path):
    settings.CHANNEL_SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    settings.SESSION_FILE_PATH = tmp_path
    socket = Socket(make_site(ROUTES))
    socket.send("hello")
    mine, theirs = (session_for_reply_channel(socket.reply_channel) for _ in range(2))
    mine["mine"], theirs["theirs"] = 1, 1
    mine.save()
    theirs.save()
    merged = session_for_reply_channel(socket.reply_channel)

    assert dict(merged.items()) == {"text": "hello", "mine": 1, "theirs": 1}
    assert Session.objects.exists() is engine.endswith("db")
    socket.disconnect()
    assert socket.consume("recall") == [{"text": "nothing"}]
    assert list(tmp_path.iterdir()) == []


def test_sessions_in_cookies_are_refused_with_the_setting_to_change(settings):
    settings.CHANNEL_SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"

    with pytest.raises(ImproperlyConfigured, match="Set CHANNEL_SESSION_ENGINE"):
        session()
