"""`channel_session`: a Django session that travels with the messages of its socket."""

import asyncio
import datetime
import inspect
import json
import math
import threading

import pytest
from asgiref.sync import async_to_sync
from django.contrib.sessions.backends.base import SessionBase

from channels import Channel, ConsumeLater, Group, route
from channels.exceptions import DenyConnection
from channels.layers.base import Finish, Ticket
from channels.layers.origin import Origin
from channels.message import Message
from channels.sessions import session_for_reply_channel
from channels.sessions.channel_session import ChannelSession, channel_session
from channels.worker import Worker, WorkerGroup

from ..sites import Socket

CHANNELS = ("websocket.connect", "websocket.receive", "websocket.disconnect")


@channel_session
def remember(message):
    message.channel_session["text"] = message["text"]


@channel_session
def recall(message):
    message.reply_channel.send({"text": message.channel_session.get("text", "nothing")})


ROUTES = [route("websocket.receive", remember, text="hello"), route("websocket.receive", recall)]


def session_of(values=None):
    """Return the session of a connection that has these values."""
    return ChannelSession(origin_of(values))


def origin_of(values=None, number=1):
    return Origin(None, "reply.a!1", Ticket(number, values or {}))


def told(origin):
    """Return what a connection is told of its session: what has changed, and what was removed."""
    finish = origin.finish()
    return finish.changed, sorted(finish.removed)


# The life of a session


def test_what_one_consumer_stores_the_next_of_the_same_socket_finds(make_site):
    site = make_site(ROUTES)
    anna, ben = Socket(site), Socket(site)
    anna.send("hello")

    assert anna.send("?") == [{"text": "hello"}]
    assert ben.send("?") == [{"text": "nothing"}]


def test_what_connect_has_stored_is_there_in_the_first_receive_and_at_the_end(make_site):
    @channel_session
    def consumer(message):
        seen.append((message.channel.name, dict(message.channel_session.items())))
        message.channel_session[message.channel.name] = True

    seen = []
    socket = Socket(make_site([route(channel, consumer) for channel in CHANNELS]))
    socket.connect()
    socket.send("hello")
    socket.disconnect()

    connect, receive, disconnect = CHANNELS
    assert seen == [(connect, {}), (receive, {connect: True}), (disconnect, {connect: True, receive: True})]


def test_it_comes_back_after_an_exception_too(make_site):
    @channel_session
    def consumer(message):
        message.channel_session["text"] = "hello"
        raise RuntimeError

    socket = Socket(make_site([route("websocket.receive", consumer)]))
    socket.send("")

    assert socket.session == {"text": "hello"}


def test_a_message_that_is_put_back_brings_what_was_stored_before(make_site):
    @channel_session
    def consumer(message):
        times = message.channel_session["times"] = message.channel_session.get("times", 0) + 1
        if times < 3:
            raise ConsumeLater

    for channel in ("websocket.receive", "websocket.disconnect"):
        socket = Socket(make_site([route(channel, consumer)]))
        socket.consume(channel)

        assert socket.session == {"times": 3}


def test_it_belongs_to_a_request_too_and_is_there_when_its_client_leaves(make_site):
    seen = []

    @channel_session
    def left(message):
        seen.append(message.channel_session["text"])

    site = make_site([route("http.request", remember), route("http.disconnect", left)])
    site.request(text="hello")
    site.consume("http.disconnect", path="/")

    assert seen == ["hello"]


def test_nothing_of_it_asks_the_database(make_site, django_assert_num_queries):
    site = make_site(ROUTES)
    with django_assert_num_queries(0):
        socket = Socket(site)
        socket.send("hello")
        socket.send("?")
        socket.disconnect()


# What travels


VALUES = [None, True, 0, 2**64 - 1, -0.5, math.inf, "", "Ω 👍", b"\x00\xff", [], {}, [1, [b"1", {"deep": [None]}]]]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_is_whatever_a_message_may_hold(make_site, value):
    @channel_session
    def consumer(message):
        seen.append(message.channel_session.get("value"))
        message.channel_session["value"] = value

    seen = []
    socket = Socket(make_site([route("websocket.receive", consumer)]))
    socket.send("")
    socket.send("")

    assert repr(seen) == repr([None, value])


def test_a_change_inside_of_a_value_comes_back_and_nobody_elses_values_change_with_it():
    values = {"list": [1], "dict": {"deep": [{}]}, "same": 1}
    origin = origin_of(values)
    session = ChannelSession(origin)
    session["list"].append(2)
    session["dict"]["deep"][0]["key"] = b"1"
    session.save()

    assert told(origin) == ({"list": [1, 2], "dict": {"deep": [{"key": b"1"}]}}, [])
    assert values == {"list": [1], "dict": {"deep": [{}]}, "same": 1}


@pytest.mark.parametrize(("before", "after"), [(1, True), (0, False), (1, 1.0), (True, 1), ("1", 1), ("a", b"a")])
def test_values_that_are_equal_and_not_the_same_are_a_change(before, after):
    for wrap in (lambda value: value, lambda value: [value], lambda value: {"deep": [value]}):
        origin = origin_of({"value": wrap(before)})
        session = ChannelSession(origin)
        session["value"] = wrap(after)
        session.save()

        assert repr(told(origin)) == repr(({"value": wrap(after)}, []))


def test_what_has_become_the_same_again_is_no_change():
    origin = origin_of({"kept": [1, {"a": "b"}], "removed": 1})
    session = ChannelSession(origin)
    session["kept"] = (1, {"a": "b"})
    session["new"] = 1
    del session["new"], session["removed"]
    session.save()

    assert told(origin) == ({}, ["removed"])


def test_what_is_only_read_is_not_sent_back(make_site):
    socket = Socket(make_site(ROUTES))
    socket.send("hello")
    socket.send("?")

    finishes = [finish for _, finish in socket.site.finishes]
    assert finishes == [Finish(0, {"text": "hello"}, []), Finish(1)]


def test_a_session_that_is_too_large_is_told_with_the_setting_and_nothing_of_it_is_kept(make_site, settings, caplog):
    @channel_session
    def consumer(message):
        message.channel_session.update({"kept": True, "text": message["text"]})

    socket = Socket(make_site([route("websocket.receive", consumer)]))
    socket.send("x" * 60_000)
    socket.send("x" * 64 * 1024)
    after_one_too_large = len(socket.session["text"])
    settings.CHANNEL_SESSION_SIZE = 100_000
    socket.send("x" * 64 * 1024)

    assert after_one_too_large == 60_000
    assert len(socket.session["text"]) == 64 * 1024
    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert str(record.exc_info[1]) == (
        "The channel session holds more than 65536 bytes, and travels with each message of its socket. "
        "Keep less in it, or raise CHANNEL_SESSION_SIZE in the settings."
    )


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"fine": 1, "when": datetime.datetime(2024, 2, 29)}, "'when' is of type datetime"),
        ({1: "fine"}, "has the key 1; keys are text"),
        ({"deep": [{"large": 2**64}]}, "'large' is an integer of more than 64 bits"),
    ],
)
def test_what_cannot_travel_is_told_and_nothing_of_it_is_kept(make_site, caplog, values, sentence):
    @channel_session
    def consumer(message):
        message.channel_session.update(values)

    socket = Socket(make_site([route("websocket.receive", consumer)]))
    socket.send("")

    assert socket.session == {}
    assert "InvalidMessage: The channel session holds what cannot travel with messages: " in caplog.text
    assert sentence in caplog.text


@pytest.mark.parametrize(
    ("error", "replies", "waiting"),
    [(DenyConnection, [{"accept": False}], 0), (ConsumeLater, [{"accept": True}], 1)],
)
def test_a_session_that_cannot_be_kept_does_not_change_how_its_consumer_ends(
    make_site, caplog, error, replies, waiting
):
    @channel_session
    def consumer(message):
        message.channel_session["when"] = datetime.datetime(2024, 2, 29)
        message.reply_channel.send({"accept": True})
        raise error

    site = make_site([route("websocket.connect", consumer)])
    socket = Socket(site)
    socket.put("websocket.connect")
    site.worker.step()

    assert socket.received() == replies
    assert site.layer.channel_statistics("websocket.connect")["messages_pending"] == waiting
    assert "'when' is of type datetime" in caplog.text


# Whose it is


JOBS = [route("jobs", recall), route("more", lambda message: Channel("jobs").send(message.content))]


def sending_to(channel, content=None, **options):
    """Return a consumer that changes its session and sends a message to a channel."""

    @channel_session
    def consumer(message):
        Channel(channel).send(content or {"reply_channel": message.reply_channel.name}, **options)
        message.channel_session["text"] = "changed since"

    return consumer


@pytest.mark.parametrize("channel", ["jobs", "more"])
def test_a_message_on_a_channel_of_the_site_brings_it_along(make_site, channel):
    socket = Socket(make_site([route("websocket.receive", sending_to(channel)), *JOBS]))

    assert socket.send("") == [{"text": "changed since"}]


def test_one_that_leaves_at_once_brings_what_there_was_before_its_consumer(make_site):
    routes = [route("websocket.receive", sending_to("jobs", immediately=True)), *JOBS]
    socket = Socket(make_site(routes))
    socket.site.sessions[socket.reply_channel] = {"text": "before"}

    assert socket.send("") == [{"text": "before"}]
    assert socket.session == {"text": "changed since"}


def test_what_a_consumer_of_such_a_message_changes_comes_back_and_undoes_nothing(make_site):
    @channel_session
    def work(message):
        message.channel_session["work"] = "done"
        message.channel_session.pop("todo")

    socket = Socket(make_site([route("websocket.receive", sending_to("jobs")), route("jobs", work)]))
    socket.site.sessions[socket.reply_channel] = {"todo": 1, "kept": 1}
    socket.send("")

    assert socket.session == {"kept": 1, "text": "changed since", "work": "done"}
    assert socket.site.finishes[-1] == (socket.reply_channel, Finish(None, {"work": "done"}, ["todo"]))


def test_such_a_message_may_be_put_back(make_site):
    @channel_session
    def work(message):
        message.channel_session["times"] = message.channel_session.get("times", 0) + 1
        if message.channel_session["times"] < 3:
            raise ConsumeLater

    socket = Socket(make_site([route("websocket.receive", sending_to("jobs")), route("jobs", work)]))
    socket.send("")

    assert socket.session == {"text": "changed since", "times": 3}


@pytest.mark.parametrize("channel", ["jobs", "websocket.disconnect"])
def test_whoever_chooses_a_content_does_not_choose_whose_session_comes_with_it(make_site, caplog, channel):
    def obey(message):
        Channel(channel).send(json.loads(message["text"]))

    site = make_site([route("websocket.receive", obey), route("jobs", recall), route("websocket.disconnect", recall)])
    victim, visitor = Socket(site), Socket(site)
    site.sessions[victim.reply_channel] = {"text": "a secret"}
    content = {"reply_channel": victim.reply_channel, "ticket": [0, {"text": "?"}], "session": {}, "order": 0}
    visitor.send(json.dumps(content))

    assert victim.received() == []
    assert f"The message on {channel} has no channel_session. It names a reply_channel, but was not sent" in caplog.text


def test_a_content_that_a_consumer_has_changed_does_not_change_whose_it_is(make_site):
    @channel_session
    def consumer(message):
        message.content["reply_channel"] = "reply.another!1"
        message.channel_session["text"] = "mine"
        Channel("jobs").send(message.content)

    site = make_site([route("websocket.receive", consumer), *JOBS])
    socket = Socket(site)
    socket.send("")

    assert socket.session == {"text": "mine"}
    assert site.received("reply.another!1") == []


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({}, "It has no reply_channel, and was not sent by an interface server"),
        ({"reply_channel": "reply.a!1"}, "It names a reply_channel, but was not sent by an interface server"),
    ],
)
def test_a_message_from_elsewhere_has_none_and_the_reason_is_told(make_site, caplog, content, sentence):
    site = make_site([route("thumbnail", recall)])
    site.layer.send("thumbnail", content)
    site.work()

    assert f"The message on thumbnail has no channel_session. {sentence}" in caplog.text


def test_one_that_comes_by_a_group_has_none(make_site, caplog):
    @channel_session
    def consumer(message):
        Group("workers").send({"reply_channel": message.reply_channel.name})

    site = make_site([route("websocket.receive", consumer), *JOBS])
    Group("workers").add("jobs")
    Socket(site).send("")

    assert "The message on jobs has no channel_session." in caplog.text


def test_one_on_another_layer_has_none(make_site, caplog):
    @channel_session
    def consumer(message):
        Channel("jobs", alias="second").send({"reply_channel": message.reply_channel.name})

    second = make_site(JOBS, alias="second")
    Socket(make_site([route("websocket.receive", consumer)])).send("")
    second.work()

    assert "The message on jobs has no channel_session." in caplog.text


def test_a_name_alone_opens_no_session():
    with pytest.raises(TypeError, match="Use @channel_session"):
        session_for_reply_channel("reply.a!1")


# The decorator


def test_decorators_can_be_stacked_and_stand_on_methods(make_site):
    class Consumers:
        @channel_session
        @channel_session
        def receive(self, message, room):
            """Remember the room."""
            message.channel_session["room"] = room

    consumers = Consumers()
    socket = Socket(make_site([route("websocket.receive", consumers.receive, path=r"^/(?P<room>\w+)/$")]), "/kitchen/")
    socket.send("")

    assert socket.session == {"room": "kitchen"}
    assert (Consumers.receive.__name__, Consumers.receive.__doc__) == ("receive", "Remember the room.")
    with pytest.raises(TypeError, match="called with a message as its first argument"):
        consumers.receive("no message")


def test_an_object_may_be_a_consumer(make_site):
    class Remember:
        @channel_session
        def __call__(self, message):
            message.channel_session["text"] = message["text"]

    socket = Socket(make_site([route("websocket.receive", Remember())]))
    socket.send("hello")

    assert socket.session == {"text": "hello"}


def test_a_consumer_may_call_another_with_its_message_or_a_copy_and_they_share_it(make_site):
    @channel_session
    def outer(message):
        message.channel_session["text"] = "from the outer one"
        for same in (message, message.copy(), message.with_content({"text": "other"})):
            recall(same)

    assert Socket(make_site([route("websocket.receive", outer)])).send("") == [{"text": "from the outer one"}] * 3


def test_consumers_that_are_called_one_after_the_other_share_it_too(make_site):
    def outer(message):
        remember(message.copy())
        recall(message.copy())

    assert Socket(make_site([route("websocket.receive", outer)])).send("hello") == [{"text": "hello"}]


def test_a_consumer_may_put_something_else_in_its_place(make_site):
    @channel_session
    def consumer(message):
        message.channel_session["text"] = "hello"
        message.channel_session = None

    socket = Socket(make_site([route("websocket.receive", consumer)]))
    socket.send("")

    assert socket.session == {"text": "hello"}


def test_a_message_that_was_made_by_hand_has_none(make_site):
    message = Message({"reply_channel": "reply.a!1", "text": ""}, "websocket.receive", make_site().layer)

    with pytest.raises(ValueError, match="has no channel_session"):
        recall(message)


# Several consumers of one socket at once


def test_two_consumers_at_once_undo_nothing_of_each_other(make_site):
    @channel_session
    def consumer(message):
        if message["text"] == "outer":
            # Another worker begins and ends meanwhile.
            Worker(site.layer).step()
        message.channel_session[message["text"]] = True
        message.channel_session.pop(f"old {message['text']}")

    site = make_site([route("websocket.receive", consumer)])
    socket = Socket(site)
    site.sessions[socket.reply_channel] = {"old outer": 1, "old inner": 1, "kept": 1}
    socket.put("websocket.receive", text="outer")
    socket.put("websocket.receive", text="inner")
    site.work()
    socket.received()

    assert socket.session == {"outer": True, "inner": True, "kept": 1}


def test_fifty_consumers_at_once_in_four_threads_lose_nothing(make_site, caplog):
    done = threading.Semaphore(0)

    @channel_session
    def consumer(message):
        message.channel_session[message["text"]] = True
        done.release()

    site = make_site([route("websocket.receive", consumer)])
    socket = Socket(site)
    group = WorkerGroup(site.layer, 4)
    group.start()
    keys = [f"key {number}" for number in range(50)]
    for key in keys:
        socket.put("websocket.receive", text=key)
    for _ in keys:
        assert done.acquire(timeout=30)
    group.stop()
    socket.received()

    assert socket.session == dict.fromkeys(keys, True)
    assert [record.getMessage() for record in caplog.records if record.name.startswith("channels")] == []


# The methods of a session: each with its arguments, what it returns, and the values afterwards


BEFORE = {"a": 1, "b": [2]}
IN_AN_HOUR = {"_session_expiry": 3600}
TEST_COOKIE = {"testcookie": "worked"}
ANY = ...
METHODS = [
    ("get", ("a",), 1, BEFORE),
    ("get", ("c", 3), 3, BEFORE),
    ("pop", ("a",), 1, {"b": [2]}),
    ("pop", ("c", 3), 3, BEFORE),
    ("setdefault", ("a", 3), 1, BEFORE),
    ("setdefault", ("c", 3), 3, BEFORE | {"c": 3}),
    ("update", ({"c": 3},), None, BEFORE | {"c": 3}),
    ("has_key", ("a",), True, BEFORE),
    ("keys", (), ["a", "b"], BEFORE),
    ("values", (), [1, [2]], BEFORE),
    ("items", (), [("a", 1), ("b", [2])], BEFORE),
    ("set_test_cookie", (), None, BEFORE | TEST_COOKIE),
    ("test_cookie_worked", (), False, BEFORE),
    ("set_expiry", (3600,), None, BEFORE | IN_AN_HOUR),
    ("set_expiry", (datetime.timedelta(hours=1),), None, ANY),
    ("set_expiry", (None,), None, BEFORE),
    ("get_expiry_age", (), 14 * 24 * 3600, BEFORE),
    ("get_expiry_date", (), ANY, BEFORE),
    ("get_expire_at_browser_close", (), False, BEFORE),
    ("load", (), BEFORE, BEFORE),
    ("exists", ("reply.a!1",), False, BEFORE),
    ("create", (), None, BEFORE),
    ("save", (), None, BEFORE),
    ("delete", (), None, {}),
    ("delete", ("another",), None, BEFORE),
    ("flush", (), None, {}),
    ("cycle_key", (), None, BEFORE),
    ("clear_expired", (), None, BEFORE),
]
SYNCHRONOUS = [
    ("__getitem__", ("a",), 1, BEFORE),
    ("__setitem__", ("c", 3), None, BEFORE | {"c": 3}),
    ("__delitem__", ("a",), None, {"b": [2]}),
    ("__contains__", ("a",), True, BEFORE),
    ("__contains__", ("c",), False, BEFORE),
    ("clear", (), None, {}),
    ("is_empty", (), False, BEFORE),
    ("get_session_cookie_age", (), 14 * 24 * 3600, BEFORE),
]
OTHERS = {"set", "delete_test_cookie", "encode", "decode"}


def ends_as(origin, session, values):
    """Say whether a connection with the values of `BEFORE` has these at the end."""
    session.save()
    finish = origin.finish()
    kept = {key: value for key, value in BEFORE.items() if key not in finish.removed} | finish.changed
    return values is ANY or kept == values


@pytest.mark.parametrize("again", [False, True], ids=["", "after a first look"])
@pytest.mark.parametrize("a", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize(("name", "arguments", "returned", "values"), METHODS, ids=lambda value: repr(value)[:40])
def test_the_methods_of_a_session_work_or_do_nothing_also_the_asynchronous_ones(
    name, arguments, returned, values, a, again
):
    origin = origin_of(BEFORE)
    session = ChannelSession(origin)
    if again:
        assert session["a"] == 1
    if a:

        async def call():
            return await getattr(session, f"a{name}")(*arguments)

        result = asyncio.run(call())
    else:
        result = getattr(session, name)(*arguments)

    assert returned is ANY or (list(result) if name in ("keys", "values", "items") else result) == returned
    assert ends_as(origin, session, values)
    assert session.session_key == "reply.a!1"


@pytest.mark.parametrize(("name", "arguments", "returned", "values"), SYNCHRONOUS, ids=lambda value: repr(value)[:40])
def test_so_do_those_that_are_synchronous_only(name, arguments, returned, values):
    origin = origin_of(BEFORE)
    session = ChannelSession(origin)

    assert getattr(session, name)(*arguments) == returned
    assert ends_as(origin, session, values)


def test_the_tables_name_every_public_method_of_a_session():
    known = {row[0] for row in METHODS} | OTHERS
    known |= {f"a{name}" for name in known} | {row[0] for row in SYNCHRONOUS}
    names = {
        name for name, value in inspect.getmembers(SessionBase, inspect.isroutine) if name[0] != "_" or name in known
    }

    assert names - known == set()


def test_a_key_can_be_set_asynchronously_and_test_cookies_deleted():
    session = session_of()
    asyncio.run(session.aset("a", 1))
    session.set_test_cookie()
    assert session.test_cookie_worked()
    session.delete_test_cookie()
    asyncio.run(session.aset_test_cookie())
    asyncio.run(session.adelete_test_cookie())

    assert dict(session.items()) == {"a": 1}
    assert session.decode(session.encode({"a": 1})) == {"a": 1}


def test_it_says_whether_it_was_looked_at_and_changed():
    session = session_of({"a": 1})
    assert (session.accessed, session.modified) == (False, False)
    session["a"]
    assert (session.accessed, session.modified) == (True, False)
    session["a"] = 2
    assert (session.accessed, session.modified) == (True, True)


def test_asynchronous_code_of_a_consumer_may_use_it(make_site):
    async def work(session):
        await session.aset("times", await session.aget("times", 0) + 1)
        await session.asave()

    @channel_session
    def consumer(message):
        async_to_sync(work)(message.channel_session)

    socket = Socket(make_site([route("websocket.receive", consumer)]))
    socket.send("")
    socket.send("")

    assert socket.session == {"times": 2}
