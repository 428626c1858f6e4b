import itertools
import logging
import random
import threading
import time

import pytest
from django.contrib.sessions.models import Session

from channels import ConsumeLater, deadlines, ordering, route
from channels.channel_sessions import channel_session, session_for_reply_channel
from channels.deadlines import seconds_left
from channels.exceptions import ChannelLayerUnavailable, DenyConnection
from channels.layers.inmemory import InMemoryChannelLayer
from channels.ordering import GAP_TIMEOUT, enforce_ordering
from channels.worker import Worker, WorkerGroup

from .due import run_due
from .sites import Socket

pytestmark = pytest.mark.django_db


@enforce_ordering
def connect(message):
    message.reply_channel.send({"accept": True})


@enforce_ordering
def receive(message):
    count = message.channel_session["count"] = message.channel_session.get("count", 0) + 1
    message.reply_channel.send({"text": f"{message['text']} is message {count}"})


@enforce_ordering
def disconnect(message):
    message.reply_channel.send({"text": f"gone after {message.channel_session.get('count', 0)}"})


def routes(connect=connect, receive=receive, disconnect=disconnect):
    return [
        route("websocket.connect", connect),
        route("websocket.receive", receive),
        route("websocket.disconnect", disconnect),
    ]


@pytest.fixture
def socket(make_site):
    """Give a socket that has connected."""
    return connected(make_site(routes()))


def connected(site):
    socket = Socket(site)
    socket.connect()
    return socket


def frames(socket, *texts):
    return [("websocket.receive", socket.message(text=text)) for text in texts]


def ending(socket):
    return ("websocket.disconnect", socket.message(code=1000))


def deliver(site, messages):
    """Let a worker have messages in this order."""
    for channel, content in messages:
        site.layer.send(channel, content)
        site.work()


def texts(socket):
    return [reply.get("text") for reply in socket.received()]


def wait_for_gaps():
    for _ in range(2):
        run_due(time.monotonic() + GAP_TIMEOUT)


# In order


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_messages_run_in_their_order_whichever_comes_first(socket, order):
    messages = [*frames(socket, "a", "b", "c"), ending(socket)]
    deliver(socket.site, [messages[number] for number in order])

    assert texts(socket) == ["a is message 1", "b is message 2", "c is message 3", "gone after 3"]
    assert not Session.objects.exists()
    assert socket.site.layer.global_statistics()["messages_pending"] == 0


def test_an_early_message_is_not_run_before_the_one_it_waits_for(socket):
    a, b = frames(socket, "a", "b")
    deliver(socket.site, [b])

    assert texts(socket) == []
    deliver(socket.site, [a])
    assert texts(socket) == ["a is message 1", "b is message 2"]


def test_those_that_wait_are_handled_in_their_order_without_another_trip_through_their_channel(socket):
    a, b, c, d = frames(socket, "a", "b", "c", "d")
    deliver(socket.site, [d, c, b, a])

    assert texts(socket)[-1] == "d is message 4"
    assert socket.site.layer.channel_statistics("websocket.receive")["messages_count"] == 4


def test_the_sockets_do_not_wait_for_each_other(socket):
    other = connected(socket.site)
    deliver(socket.site, frames(socket, "a", "b")[1:])

    assert other.send("a") == [{"text": "a is message 1"}]


def test_an_answer_has_left_before_the_next_message_runs(make_site):
    class OtherWorkerLayer(InMemoryChannelLayer):
        """Before an answer leaves, another worker does whatever it can get."""

        def send_many(self, batch):
            batch = list(batch)
            if any(send.name == socket.reply_channel for send in batch):
                while Worker(site.layer).step():
                    pass
            return super().send_many(batch)

    site = make_site(routes(), layer=OtherWorkerLayer())
    socket = Socket(site)
    socket.connect()
    for channel, content in frames(socket, "a", "b", "c"):
        site.layer.send(channel, content)
    site.work()

    assert texts(socket) == ["a is message 1", "b is message 2", "c is message 3"]


def test_a_message_whose_predecessor_ends_while_it_is_parked_does_not_wait_for_ever(make_site):
    class OtherWorkerLayer(InMemoryChannelLayer):
        """Before a message is parked, another worker does whatever it can get."""

        def send(self, channel, message):
            if channel.startswith("websocket.waiting?"):
                Worker(site.layer).step()
            super().send(channel, message)

    site = make_site(routes(), layer=OtherWorkerLayer())
    socket = connected(site)
    for channel, content in reversed(frames(socket, "a", "b")):
        site.layer.send(channel, content)
    site.work()

    assert texts(socket) == ["a is message 1", "b is message 2"]


def test_messages_that_wait_need_no_room_in_their_channel(make_site):
    site = make_site(routes(), channel_capacity={"websocket.receive": 2})
    socket, other = connected(site), connected(site)
    a, b, c = frames(socket, "a", "b", "c")
    deliver(site, [c, b])
    site.layer.send(*a)
    site.layer.send(*frames(other, "x")[0])
    site.work()

    assert texts(socket) == ["a is message 1", "b is message 2", "c is message 3"]
    assert texts(other) == ["x is message 1"]


def test_between_two_messages_of_one_socket_a_worker_takes_one_of_another(make_site):
    order = []

    @enforce_ordering
    def receive(message):
        order.append(message["text"])

    site = make_site(routes(receive=receive))
    socket, other = connected(site), connected(site)
    a, b, c = frames(socket, "a", "b", "c")
    deliver(site, [c, b])
    for message in [a, *frames(other, "x", "y")]:
        site.layer.send(*message)
    site.work()

    assert order == ["a", "b", "x", "c", "y"]


def test_a_worker_that_stops_handles_what_it_should_have_handled_next(make_site):
    """Its own channel may be full when it stops, so it leaves nothing to others."""
    site = make_site(routes(), channel_capacity={"websocket.receive": 3})
    socket, other = connected(site), connected(site)
    a, b = frames(socket, "a", "b")
    deliver(site, [b])

    def stop_and_fill(channel, message):
        if message.get("text") == "a":
            worker.stop()
            for frame in frames(other, "1", "2", "3"):
                site.layer.send(*frame)

    worker = Worker(site.layer, callback=stop_and_fill)
    site.layer.send(*a)
    worker.run()

    assert texts(socket) == ["a is message 1", "b is message 2"]
    assert texts(other) == []
    assert site.layer.channel_statistics("websocket.receive")["dropped"] == {}


def test_a_stop_comes_to_an_end_though_a_socket_goes_on(make_site, monkeypatch):
    monkeypatch.setattr("channels.worker.DRAIN_TIMEOUT", 0)
    site = make_site(routes())
    socket = connected(site)
    first, *others = frames(socket, "a", "b", "c")
    deliver(site, others)
    worker = Worker(site.layer, callback=lambda *_: worker.stop())
    site.layer.send(*first)
    worker.run()

    assert texts(socket) == ["a is message 1", "b is message 2"]
    assert site.layer.global_statistics()["messages_pending"] == 1


def test_a_worker_has_one_message_in_hand_whoever_else_may_go_on(make_site):
    waiting = []

    @enforce_ordering
    def receive(message):
        waiting.append(site.layer.global_statistics()["messages_pending"])

    site = make_site(routes(receive=receive))
    early = [frames(connected(site), "a", "b") for _ in range(3)]
    deliver(site, [b for _, b in early])
    for a, _ in early:
        site.layer.send(*a)
    for _ in range(4):
        site.worker.step()

    # The first message of each socket, and what waited for it, which is no more than seen while the others wait too.
    assert waiting == [5, 4, 3, 2, 1, 0]


class Fragile(InMemoryChannelLayer):
    """A layer that fails once when a waiting message is looked for."""

    fails = False

    def send_and_receive(self, batch, channels, timeout, finished=""):
        if self.fails and any("waiting" in channel for channel in channels):
            self.fails = False
            raise ChannelLayerUnavailable("The store does not answer")
        return super().send_and_receive(batch, channels, timeout, finished)


def test_a_message_is_found_later_when_it_could_not_be_looked_for(make_site):
    layer = Fragile()
    site = make_site(routes(), layer=layer)
    socket = connected(site)
    a, b = frames(socket, "a", "b")
    deliver(site, [b])
    deadlines._own.heap.clear()
    ordering._watched.clear()
    layer.fails = True
    deliver(site, [a])
    assert texts(socket) == ["a is message 1"]

    [found] = run_due(time.monotonic() + GAP_TIMEOUT)
    assert (found.channel, found.content) == b


def test_what_a_killed_worker_should_have_handled_next_is_found_when_the_gap_is_looked_at(make_site):
    site = make_site(routes())
    socket = connected(site)
    a, b = frames(socket, "a", "b")
    deliver(site, [b])
    watch = deadlines._own.heap.copy()
    site.layer.send(*a)
    site.worker.step()
    # The worker that has handled the first one is gone; the one that has parked the second looks after it.
    deadlines._own.heap[:] = watch

    assert [waiting[:2] for waiting in run_due(time.monotonic() + GAP_TIMEOUT + 1)] == [b]
    assert texts(socket) == ["a is message 1"]


# When a consumer fails


class Stop(BaseException):
    pass


@pytest.mark.parametrize("error", [RuntimeError("failed"), Stop(), SystemExit(3), DenyConnection()])
def test_a_consumer_that_fails_lets_the_next_one_run(make_site, error):
    @enforce_ordering
    def receive(message):
        if message["text"] == "b":
            raise error
        message.reply_channel.send({"text": message["text"]})

    socket = connected(make_site(routes(receive=receive)))
    a, b, c = frames(socket, "a", "b", "c")
    deliver(socket.site, [c, a])
    try:
        deliver(socket.site, [b])
    except SystemExit:
        socket.site.work()

    assert texts(socket) == ["a", "c"]


def test_what_it_has_stored_before_is_kept(make_site):
    @enforce_ordering
    def receive(message):
        message.channel_session["text"] = message["text"]
        raise RuntimeError

    socket = connected(make_site(routes(receive=receive)))
    socket.send("a")

    assert session_for_reply_channel(socket.reply_channel)["text"] == "a"


def test_a_refused_socket_leaves_nothing_behind(make_site):
    @enforce_ordering
    def refuse(message):
        raise DenyConnection

    socket = Socket(make_site(routes(connect=refuse)))

    assert socket.connect() == [{"accept": False}]
    assert socket.disconnect() == [{"text": "gone after 0"}]
    assert not Session.objects.exists()


def test_a_message_that_is_to_be_consumed_later_keeps_its_turn(make_site):
    runs = []

    @enforce_ordering
    def receive(message):
        runs.append(message["text"])
        if runs.count("a") < 3:
            raise ConsumeLater

    socket = connected(make_site(routes(receive=receive)))
    a, b = frames(socket, "a", "b")
    deliver(socket.site, [b, a])

    assert runs == ["a", "a", "a", "b"]


def test_one_that_was_put_off_too_often_is_lost_and_that_is_a_gap(make_site):
    @enforce_ordering
    def receive(message):
        raise ConsumeLater

    socket = connected(make_site(routes(receive=receive)))
    deliver(socket.site, [*frames(socket, "a", "b"), ending(socket)])
    wait_for_gaps()
    socket.site.work()

    assert socket.received() == [{"close": 1013}, {"text": "gone after 0"}]


# Gaps


def test_a_gap_that_does_not_close_closes_the_socket(socket, caplog):
    _, b, c = frames(socket, "a", "b", "c")
    deliver(socket.site, [b, c])
    run_due(time.monotonic() + GAP_TIMEOUT - 1)
    assert socket.received() == []
    wait_for_gaps()

    assert socket.received() == [{"close": 1013}]
    warning, _ = [record.getMessage() for record in caplog.records]
    assert warning == (
        f"Socket {socket.reply_channel} closed with 1013 and 2 of its messages dropped: message 1 has not come for 5 s"
    )
    assert socket.site.layer.global_statistics()["messages_pending"] == 0


def test_what_is_dropped_of_a_socket_that_was_given_up_is_counted(socket):
    _, b, c, d = frames(socket, "a", "b", "c", "d")
    deliver(socket.site, [b, c])
    wait_for_gaps()
    deliver(socket.site, [d, ending(socket)])

    assert socket.site.layer.channel_statistics("websocket.receive")["dropped"] == {
        "its socket was closed, for a message before it was missing": 3
    }
    assert socket.received() == [{"close": 1013}, {"text": "gone after 0"}]


def test_a_message_that_comes_in_time_closes_the_gap(socket):
    a, b = frames(socket, "a", "b")
    deliver(socket.site, [b, a])
    for _ in range(3):
        wait_for_gaps()

    assert texts(socket) == ["a is message 1", "b is message 2"]
    assert seconds_left() is None


def test_a_socket_may_have_another_gap(socket):
    a, b, _, d = frames(socket, "a", "b", "c", "d")
    deliver(socket.site, [b, a])
    wait_for_gaps()
    socket.received()
    deliver(socket.site, [d])
    wait_for_gaps()

    assert socket.received() == [{"close": 1013}]


def test_a_worker_waits_no_longer_than_until_the_next_look_at_a_gap(socket):
    deliver(socket.site, frames(socket, "a", "b")[1:])

    assert GAP_TIMEOUT / 2 - 1 < seconds_left() <= GAP_TIMEOUT / 2


def test_the_disconnect_consumer_still_runs_when_it_comes_later(socket):
    deliver(socket.site, frames(socket, "a", "b")[1:])
    wait_for_gaps()
    socket.received()
    deliver(socket.site, [*frames(socket, "c"), ending(socket)])

    assert texts(socket) == ["gone after 0"]
    assert not Session.objects.exists()


def test_the_disconnect_consumer_still_runs_when_it_has_been_waiting(socket):
    _, b, c = frames(socket, "a", "b", "c")
    deliver(socket.site, [b, ending(socket), c])
    wait_for_gaps()
    socket.site.work()

    assert socket.received() == [{"close": 1013}, {"text": "gone after 0"}]
    assert not Session.objects.exists()


def test_what_comes_after_the_end_runs_no_more_and_leaves_nothing_behind(socket, caplog):
    a, b, c = frames(socket, "a", "b", "c")
    deliver(socket.site, [a, b, c, ending(socket)])
    socket.received()
    deliver(socket.site, [b])
    wait_for_gaps()

    assert texts(socket) == [None]
    assert "message 0 has not come for 5 s; it has ended, or its websocket.connect" in caplog.text
    assert not Session.objects.exists()
    assert socket.site.layer.global_statistics()["messages_pending"] == 0


def test_a_connect_consumer_without_the_decorator_is_a_gap_that_is_named(make_site, caplog):
    def accept(message):
        message.reply_channel.send({"accept": True})

    socket = connected(make_site(routes(connect=accept)))
    deliver(socket.site, [*frames(socket, "a", "b"), ending(socket)])
    wait_for_gaps()
    socket.site.work()

    assert socket.received() == [{"close": 1013}, {"text": "gone after 0"}]
    assert "or its websocket.connect consumer lacks enforce_ordering" in caplog.text
    assert not Session.objects.exists()


def test_the_end_of_a_socket_whose_server_has_died_waits_for_nothing(socket):
    deliver(socket.site, [*frames(socket, "a", "b")[1:], ("websocket.disconnect", socket.message(order=None))])

    assert texts(socket) == ["gone after 0"]
    assert not Session.objects.exists()


def test_a_slow_consumer_is_no_gap(make_site):
    @enforce_ordering
    def receive(message):
        if message["text"] == "a":
            # Meanwhile another worker meets the next message, and looks for the gap again and again.
            deliver(site, [b])
            wait_for_gaps()
            wait_for_gaps()
            seen.extend(socket.received())
        message.reply_channel.send({"text": message["text"]})

    seen = []
    site = make_site(routes(receive=receive))
    socket = connected(site)
    a, b = frames(socket, "a", "b")
    deliver(site, [a])
    wait_for_gaps()

    assert seen == []
    assert texts(socket) == ["a", "b"]


def test_a_slow_connect_consumer_is_no_gap(make_site):
    @enforce_ordering
    def connect(message):
        message.reply_channel.send({"accept": True}, immediately=True)
        deliver(site, frames(socket, "a"))
        wait_for_gaps()

    site = make_site(routes(connect=connect))
    socket = Socket(site)

    assert socket.connect() == [{"accept": True}, {"text": "a is message 1"}]


def test_a_socket_that_gets_on_has_time_for_the_next_gap(socket):
    a, _, c, _, e = frames(socket, "a", "b", "c", "d", "e")
    deliver(socket.site, [e, c])
    deliver(socket.site, [a])
    wait_for_gaps()
    assert texts(socket) == ["a is message 1"]

    wait_for_gaps()
    assert socket.received() == [{"close": 1013}]


def test_a_session_that_cannot_be_saved_is_a_gap_and_not_a_consumer_that_runs_for_ever(socket, monkeypatch):
    def fail(self, **kwargs):
        raise ConnectionError("the database is gone")

    a, b = frames(socket, "a", "b")
    with monkeypatch.context() as patch:
        patch.setattr(type(session_for_reply_channel(socket.reply_channel)), "save", fail)
        deliver(socket.site, [a])
    deliver(socket.site, [b])
    wait_for_gaps()

    assert socket.received()[-1] == {"close": 1013}


def test_too_many_waiting_messages_close_the_socket(make_site, caplog):
    socket = connected(make_site(routes(), channel_capacity={"websocket.waiting?*": 3}))
    _, *messages = frames(socket, *"abcdef")
    deliver(socket.site, messages)

    assert socket.received() == [{"close": 1013}]
    assert "3 of its messages dropped: too many of its messages are waiting" in caplog.text
    assert socket.disconnect() == [{"text": "gone after 0"}]
    assert not Session.objects.exists()


def test_the_disconnect_consumer_runs_even_if_its_message_was_one_too_many(make_site):
    socket = connected(make_site(routes(), channel_capacity={"websocket.waiting?*": 3}))
    _, *messages = frames(socket, *"abcd")
    deliver(socket.site, [*messages, ending(socket)])

    assert socket.received() == [{"close": 1013}, {"text": "gone after 0"}]
    assert not Session.objects.exists()


# What is no message in an order


def test_a_message_that_comes_twice_runs_once(socket, caplog):
    a, b = frames(socket, "a", "b")
    deliver(socket.site, [a, a, b, a])

    assert texts(socket) == ["a is message 1", "b is message 2"]
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        f"Message 1 of socket {socket.reply_channel} came twice and is dropped"
    ] * 2


def test_a_message_without_an_order_is_told(make_site, caplog):
    make_site([route("thumbnail", receive)]).consume("thumbnail", text="a")

    assert "A message on thumbnail has no order. enforce_ordering is for websocket.* messages." in caplog.text


def test_the_decorator_may_be_called_and_its_slight_mode_is_gone():
    assert enforce_ordering()(receive).__name__ == enforce_ordering(slight=False)(receive).__name__ == "receive"
    with pytest.raises(ValueError, match="has no slight mode any more"):
        enforce_ordering(slight=True)


def test_it_may_be_stacked_with_the_session_it_needs_in_any_order(make_site):
    for consumer in (channel_session(receive), enforce_ordering(channel_session(receive.__wrapped__))):
        socket = connected(make_site(routes(receive=consumer)))
        deliver(socket.site, reversed(frames(socket, "a", "b")))

        assert texts(socket) == ["a is message 1", "b is message 2"]


# Under load


@pytest.mark.django_db(transaction=True)
def test_twenty_sockets_of_twenty_messages_stay_in_order_in_four_threads(make_site, threaded_db, monkeypatch, caplog):
    # A machine that is busy may leave a message waiting longer than a gap may last.
    monkeypatch.setattr(ordering, "GAP_TIMEOUT", 600)
    ended = threading.Semaphore(0)

    @enforce_ordering
    def receive(message):
        message.reply_channel.send({"text": message["text"]})
        if message["text"] == "7":
            raise RuntimeError("number seven fails")

    @enforce_ordering
    def disconnect(message):
        message.reply_channel.send({"text": "gone"})
        ended.release()

    site = make_site(routes(receive=receive, disconnect=disconnect), capacity=1000)
    sockets = [connected(site) for _ in range(20)]
    messages = []
    for socket in sockets:
        messages += [*frames(socket, *map(str, range(1, 21))), ending(socket)]
    random.Random(7).shuffle(messages)
    group = WorkerGroup(site.layer, 4)
    group.start()
    for channel, content in messages:
        site.layer.send(channel, content)
    for _ in sockets:
        assert ended.acquire(timeout=60)
    group.stop()

    for socket in sockets:
        assert texts(socket) == [*map(str, range(1, 21)), "gone"]
    failures = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(failures) == 20
    assert {str(record.exc_info[1]) for record in failures} == {"number seven fails"}
    assert not Session.objects.exists()
    assert site.layer.global_statistics()["messages_pending"] == 0


def test_only_the_message_that_comes_next_is_taken_from_those_that_wait(socket):
    early = frames(socket, "1", "2", "3", "4")
    for channel, content in reversed(early[1:]):
        socket.site.layer.send(channel, content)
        socket.site.worker.step()
    socket.site.layer.send(*early[0])
    waiting = []
    while socket.site.worker.step():
        waiting.append(socket.site.layer.global_statistics()["messages_pending"] - len(waiting) - 1)

    assert waiting == [3, 2, 1, 0]
    assert [answer["text"][0] for answer in socket.received()] == ["1", "2", "3", "4"]


def test_a_socket_that_was_refused_outside_of_the_decorator_ends_at_once_and_in_silence(make_site, caplog):
    def refuse(message):
        raise DenyConnection

    socket = Socket(make_site(routes(connect=refuse)))
    refused, end = socket.connect(), socket.disconnect()

    assert refused == [{"accept": False}]
    assert end == [{"text": "gone after 0"}]
    assert seconds_left() is None
    assert caplog.messages == []
    assert Session.objects.count() == 0


def test_a_socket_is_given_up_once(socket, caplog):
    first, *others = frames(socket, "1", "2", "3")
    for channel, content in others:
        socket.site.layer.send(channel, content)
        socket.site.work()
    wait_for_gaps()
    for channel, content in [first, *frames(socket, "4", "5")]:
        socket.site.layer.send(channel, content)
        socket.site.work()
    run_due(time.monotonic() + 3 * GAP_TIMEOUT)

    assert socket.received() == [{"close": 1013}]
    assert sum("closed with 1013" in message for message in caplog.messages) == 1
