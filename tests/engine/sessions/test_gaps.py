"""`enforce_ordering`: what happens while a message is missing, and when it does not come."""

import time

import pytest
from django.contrib.sessions.models import Session

from channels.exceptions import ChannelLayerUnavailable
from channels.layers.inmemory import InMemoryChannelLayer
from channels.sessions import ordering
from channels.sessions.channel_session import session_for_reply_channel
from channels.sessions.ordering import GAP_TIMEOUT, enforce_ordering
from channels.worker import deadlines
from channels.worker.deadlines import seconds_left

from ..due import run_due
from ..ordered import connected, deliver, ending, frames, routes, texts, wait_for_gaps
from ..sites import Socket

pytestmark = pytest.mark.django_db


@pytest.fixture
def socket(make_site):
    """Give a socket that has connected."""
    return connected(make_site(routes()))


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


class WithoutStatistics(InMemoryChannelLayer):
    """A layer of several stores one of which is silent: statistics need all of them."""

    def channel_statistics(self, channel):
        raise ChannelLayerUnavailable("A store does not answer")


def test_a_gap_closes_the_socket_though_no_statistics_can_be_had(make_site):
    socket = connected(make_site(routes(), layer=WithoutStatistics()))
    deliver(socket.site, frames(socket, "a", "b")[1:])
    wait_for_gaps()

    assert socket.received() == [{"close": 1013}]


def test_a_gap_that_cannot_be_looked_at_is_looked_at_again_without_a_word_for_each(make_site, caplog):
    layer = Fragile()
    socket = connected(make_site(routes(), layer=layer))
    deliver(socket.site, frames(socket, "a", "b")[1:])
    layer.fails = True
    run_due(time.monotonic() + GAP_TIMEOUT)
    assert (layer.fails, socket.received(), caplog.messages) == (False, [], [])

    wait_for_gaps()
    wait_for_gaps()
    assert socket.received() == [{"close": 1013}]


class FailsInTheMiddle(InMemoryChannelLayer):
    """A layer that fails when the third message of a socket that is given up is taken."""

    pops = None

    def send_and_receive(self, batch, channels, timeout, finished=""):
        if self.pops is not None and any("waiting" in channel for channel in channels):
            self.pops += 1
            if self.pops == 3:
                raise ChannelLayerUnavailable("The store does not answer")
        return super().send_and_receive(batch, channels, timeout, finished)


def test_a_socket_is_given_up_with_what_could_be_taken(make_site):
    layer = FailsInTheMiddle()
    socket = connected(make_site(routes(), layer=layer))
    _, b, c = frames(socket, "a", "b", "c")
    deliver(socket.site, [b, ending(socket), c])
    layer.pops = 0
    ordering._give_up(socket.reply_channel, socket.site.layer, "it is a test")
    socket.site.work()

    assert socket.received() == [{"close": 1013}, {"text": "gone after 0"}]


def test_a_socket_that_goes_on_talking_is_given_up_all_the_same(socket, monkeypatch):
    look = ordering._look

    def look_while_another_message_comes(reply_channel, layer, before):
        ordering._watch(reply_channel, layer, ordering._Gap(1))
        return look(reply_channel, layer, before)

    monkeypatch.setattr(ordering, "_look", look_while_another_message_comes)
    deliver(socket.site, frames(socket, "a", "b")[1:])
    wait_for_gaps()
    wait_for_gaps()

    assert socket.received() == [{"close": 1013}]


# Who looks after a gap


def forget_what_is_watched():
    """Do as if the worker that had parked the messages had been killed."""
    deadlines._own.heap.clear()
    ordering._watched.clear()
    ordering._adopted_at.clear()


def test_a_worker_that_meets_early_messages_looks_after_them(socket):
    deliver(socket.site, frames(socket, "a", "b")[1:])
    forget_what_is_watched()

    assert ordering._take_next(socket.reply_channel, socket.site.layer, 1) is None
    wait_for_gaps()
    assert socket.received() == [{"close": 1013}]


class OtherWorkerAdvances(InMemoryChannelLayer):
    """A layer where the message that is missing ends in another worker while this one holds the next."""

    socket = ""

    def send_and_receive(self, batch, channels, timeout, finished=""):
        refused, received = super().send_and_receive(batch, channels, timeout, finished)
        if self.socket and received[0] is not None:
            session = session_for_reply_channel(self.socket)
            session[ordering._NEXT] += 1
            session.save()
            self.socket = ""
        return refused, received


def test_a_message_that_becomes_the_next_one_while_it_is_held_is_found(make_site):
    layer = OtherWorkerAdvances()
    socket = connected(make_site(routes(), layer=layer))
    _, b = frames(socket, "a", "b")
    deliver(socket.site, [b])
    layer.socket = socket.reply_channel

    found = ordering._take_next(socket.reply_channel, socket.site.layer, 1)

    assert (found.channel, found.content) == b


@pytest.mark.parametrize("reads", [True, False])
def test_a_worker_looks_after_what_another_one_has_left_if_it_reads_its_channel(socket, reads, monkeypatch):
    layer, [_, b] = socket.site.layer, frames(socket, "a", "b")
    deliver(socket.site, [b])
    forget_what_is_watched()
    channel = ordering._waiting_channel(socket.reply_channel)
    found = [(channel, {"channel": b[0], "content": b[1]})]
    monkeypatch.setattr(layer.channel_layer, "find_waiting", lambda prefix, age: found)
    monkeypatch.setattr(socket.site.worker, "channels", ["websocket.receive" if reads else "jobs"])

    ordering._adopt(socket.site.worker)
    wait_for_gaps()
    wait_for_gaps()

    assert socket.received() == ([{"close": 1013}] if reads else [])


def test_one_thread_of_a_process_looks_for_what_others_have_left(socket, monkeypatch):
    looks = []
    monkeypatch.setattr(socket.site.layer.channel_layer, "find_waiting", lambda prefix, age: looks.append(prefix) or [])
    forget_what_is_watched()
    for _ in range(3):
        ordering._adopt(socket.site.worker)

    assert looks == ["websocket.waiting?"]
