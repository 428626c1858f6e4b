"""`enforce_ordering`: the messages of a socket run in their order, and what becomes of them when consumers fail."""

import itertools
import logging
import random
import threading

import pytest
from django.contrib.sessions.models import Session

from channels import ConsumeLater, route
from channels.exceptions import DenyConnection
from channels.layers.inmemory import InMemoryChannelLayer
from channels.sessions import ordering
from channels.sessions.channel_session import channel_session, session_for_reply_channel
from channels.sessions.ordering import enforce_ordering
from channels.worker import Worker, WorkerGroup
from channels.worker.deadlines import seconds_left

from ..ordered import connected, deliver, ending, frames, receive, routes, texts, wait_for_gaps
from ..sites import Socket

pytestmark = pytest.mark.django_db


@pytest.fixture
def socket(make_site):
    """Give a socket that has connected."""
    return connected(make_site(routes()))


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
