"""The layer within one process: the contract of all layers, and what is its own."""

import asyncio
import collections
import contextlib
import random
import signal
import threading
import time

import pytest

from channels.exceptions import ChannelFull
from channels.layers.base import Entry
from channels.layers.inmemory import SWEEP_INTERVAL, InMemoryChannelLayer
from channels.test.conformance import SingleProcessConformance, side_by_side
from channels.test.process_queue import MemberMessages, read_entries

from .fake_clock import FakeClock


class TestInMemoryChannelLayer(SingleProcessConformance):
    def make_layer(self, **options):
        return InMemoryChannelLayer(clock=FakeClock(), **options)

    def advance(self, layer, seconds):
        layer.clock.advance(seconds)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def layer(clock):
    return InMemoryChannelLayer(clock=clock, expiry=10, group_expiry=100)


def drain(layer, name):
    if name.endswith("!"):
        return asyncio.run(MemberMessages(layer).take(name))
    return list(iter(lambda: layer.receive([name]), (None, None)))


def dropped(layer, channel):
    """Return what has been counted as dropped until now; a layer that is asked for its figures looks for more."""
    return layer.statistics.of_channel(channel, 0, 0.0)["dropped"]


def held(layer):
    """Return what the layer still keeps in memory."""
    return [*layer._queues, *layer._groups._groups, *layer._waiters]


def wait_until(condition):
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline


def test_it_cannot_span_processes():
    assert InMemoryChannelLayer.spans_processes is False


# Time


@pytest.mark.parametrize(("channel", "queue"), [("jobs", "jobs"), ("parts?a1", "parts?a1"), ("reply.x!1", "reply.x!")])
def test_a_message_expires_at_the_very_second(layer, clock, channel, queue):
    layer.send(channel, {"number": 1})
    clock.advance(9.75)
    before = drain(layer, queue)
    layer.send(channel, {"number": 2})
    clock.advance(10)

    assert before == [(channel, {"number": 1})]
    assert drain(layer, queue) == []


@pytest.mark.parametrize("channel", ["jobs", "reply.x!1"])
def test_a_membership_lapses_at_the_very_second(layer, clock, channel):
    layer.group_add("room", channel)

    clock.advance(99.75)
    before = layer.group_channels("room")
    clock.advance(0.25)

    assert before == [channel]
    assert layer.group_channels("room") == []


def test_a_membership_lapses_even_if_its_queue_was_not_read(layer, clock):
    layer.group_add("room", "reply.x!1")
    clock.advance(50)
    layer.group_add("room", "reply.x!2")
    clock.advance(50)

    assert layer.group_channels("room") == ["reply.x!2"]


def test_a_queue_whose_last_member_has_lapsed_gets_no_more(layer, clock):
    layer.group_add("room", "reply.x!1")
    clock.advance(50)
    layer.group_add("room", "reply.x!2")
    layer.group_discard("room", "reply.x!2")
    clock.advance(50)

    layer.send_group("room", {})

    assert layer.channel_statistics("reply.x!1")["messages_count"] == 0


@pytest.mark.parametrize("channel", ["jobs", "parts?a1", "reply.x!1"])
def test_who_lets_messages_expire_is_out_of_its_groups_from_that_second(layer, clock, channel):
    layer.group_add("room", channel)
    layer.send_group("room", {})

    clock.advance(9.75)
    before = layer.group_channels("room")
    clock.advance(0.25)

    assert before == [channel]
    assert layer.group_channels("room") == []


def test_a_renewal_after_messages_have_expired_lasts(layer, clock):
    layer.group_add("room", "reply.x!1")
    layer.send_group("room", {"number": 1})
    clock.advance(10)

    asyncio.run(layer.renew_groups("reply.x!", [("room", "1")]))
    layer.send_group("room", {"number": 2})
    layer.send_group("room", {"number": 3})

    assert asyncio.run(read_entries(layer, "reply.x!", 3))[1:] == [
        Entry(group="room", content={"number": number}) for number in (2, 3)
    ]


def test_expired_messages_are_counted_and_warned_of_once_a_minute(layer, clock, caplog):
    for _ in range(3):
        layer.send("jobs", {})
    clock.advance(10)
    layer.receive(["jobs"])
    layer.send("jobs", {})
    clock.advance(10)

    assert layer.channel_statistics("jobs")["dropped"] == {"expired": 4}
    assert caplog.messages == [
        "3 message(s) for channel jobs dropped so far (expired). Is a worker or interface server reading it?"
    ]


def test_statistics_do_not_count_what_has_expired_as_waiting(layer, clock):
    layer.send("jobs", {})
    clock.advance(4)
    layer.send("parts?a1", {})
    clock.advance(4)
    before = layer.global_statistics()
    clock.advance(4)
    after = layer.global_statistics()

    assert (before["messages_pending"], before["messages_max_age"]) == (2, 8)
    assert (after["messages_pending"], after["messages_max_age"]) == (1, 8)


def test_joining_a_group_does_not_count_as_receiving_a_message(layer):
    layer.group_add("room", "reply.x!1")

    asyncio.run(read_entries(layer, "reply.x!", 1))

    assert layer.channel_statistics("reply.x!1")["seconds_since_received"] is None


def test_a_batch_keeps_its_order_though_room_is_made_while_it_is_sent(clock):
    layer = InMemoryChannelLayer(clock=clock, expiry=1, capacity=1)
    layer.send("jobs", {"old": True})
    first, second = layer.prepare("jobs", {"number": 1}), layer.prepare("jobs", {"number": 2})

    def batch():
        yield first
        clock.advance(1)
        yield second

    assert layer.send_many(batch()) == [first, second]


# Memory


def test_channels_that_nobody_reads_or_writes_again_are_swept_out(layer, clock):
    for _ in range(1000):
        layer.send(layer.new_channel("parts?"), {})

    clock.advance(SWEEP_INTERVAL)
    layer.send("jobs", {})

    assert dropped(layer, "parts?") == {"expired": 1000}
    assert held(layer) == ["jobs"]


class RunningClock(FakeClock):
    """Goes on by a tenth of a millisecond whenever somebody looks at it."""

    def __call__(self):
        self.advance(0.0001)
        return super().__call__()


def test_a_sweep_of_much_is_shared_by_many_sends():
    clock = RunningClock()
    layer = InMemoryChannelLayer(clock=clock, expiry=1, group_expiry=1)
    for number in range(1000):
        layer.group_add(f"room{number}", layer.new_channel("parts?"))
    clock.advance(SWEEP_INTERVAL)

    layer.send_group("nobody", {})
    after_one = len(held(layer))
    for _ in range(200):
        layer.send_group("nobody", {})

    assert after_one > 900
    assert held(layer) == []


def test_sweeping_waits_for_its_time(clock):
    layer = InMemoryChannelLayer(clock=clock, expiry=1)
    layer.send("parts?a1", {})
    clock.advance(SWEEP_INTERVAL)
    layer.send("jobs", {})
    layer.send("parts?a2", {})

    clock.advance(SWEEP_INTERVAL - 0.25)
    layer.send("jobs", {})
    before = dropped(layer, "parts?")
    clock.advance(0.25)
    layer.send("jobs", {})

    assert before == {"expired": 1}
    assert dropped(layer, "parts?") == {"expired": 2}


def test_room_is_made_between_two_sweeps(clock):
    layer = InMemoryChannelLayer(clock=clock, expiry=1, capacity=1)
    layer.send("jobs", {"number": 1})
    clock.advance(1)
    layer.send("jobs", {"number": 2})

    assert drain(layer, "jobs") == [("jobs", {"number": 2})]


def test_nothing_is_left_after_the_longest_expiry(layer, clock):
    for number in range(100):
        for channel in f"jobs.{number}", f"parts?{number}", f"reply.{number}!1", "reply.x!1":
            layer.group_add(f"room.{number}", channel)
            layer.group_discard(f"hall.{number}", channel)
            layer.send(channel, {})
        layer.send_group(f"room.{number}", {})
        layer.group_add(f"room.{number}", "silent")

    clock.advance(100 + 10)
    layer.send("last", {})
    layer.receive(["last"])

    assert held(layer) == []


def test_a_membership_told_to_a_slow_reader_outlives_messages(layer, clock):
    layer.group_add("room", "reply.x!1")
    layer.send("reply.x!1", {})
    clock.advance(99.75)
    layer.send("jobs", {})

    assert asyncio.run(read_entries(layer, "reply.x!", 1)) == [Entry(local="1", group="room", joins=True)]


def test_a_message_may_outlive_memberships(clock):
    layer = InMemoryChannelLayer(clock=clock, expiry=100, group_expiry=10)
    layer.send("reply.x!1", {})
    clock.advance(50)
    layer.send("jobs", {})

    assert drain(layer, "reply.x!") == [("reply.x!1", {})]


def test_equal_rounds_of_connections_leave_nothing_behind(layer):
    for number in range(50):
        channels = [f"reply.x!{number}.{member}" for member in range(10)]
        for channel in channels:
            layer.group_add("room", channel)
        layer.send_group("room", {})
        asyncio.run(read_entries(layer, "reply.x!", 11))
        asyncio.run(
            layer.leave_groups("reply.x!", [("room", channel.removeprefix("reply.x!")) for channel in channels])
        )

    assert held(layer) == []


# Readers that go


def test_a_reader_that_gives_up_leaves_nothing_behind(layer):
    async def give_up():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(layer.read_queue("reply.x!"), 0.01)

    layer.receive(["jobs", "parts?a1"], block=True, timeout=0.01)
    asyncio.run(give_up())

    assert held(layer) == []


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="This system cannot send a signal to a thread.")
def test_a_reader_that_is_thrown_out_leaves_nothing_behind(layer):
    reader = threading.get_ident()

    def interrupt_once_it_waits():
        wait_until(lambda: layer._waiters)
        signal.pthread_kill(reader, signal.SIGINT)

    thread = threading.Thread(target=interrupt_once_it_waits)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        layer.receive(["jobs", "parts?a1"], block=True, timeout=10)
    thread.join()

    assert held(layer) == []


def test_a_reader_whose_event_loop_was_closed_harms_nobody(layer):
    loop = asyncio.new_event_loop()
    abandoned = loop.create_task(layer.read_queue("reply.x!"))
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()

    async def read():
        successor = asyncio.create_task(layer.read_queue("reply.x!"))
        await asyncio.sleep(0)
        layer.send("reply.x!1", {})
        return await asyncio.wait_for(successor, 5)

    assert asyncio.run(read()) == [Entry(local="1", content={})]
    assert held(layer) == []
    # Python complains of a task that is thrown away; this one was meant to be.
    abandoned._log_destroy_pending = False


def test_a_signal_handler_may_interrupt_a_thread_that_is_just_sending(clock):
    layer = InMemoryChannelLayer(clock=clock)
    # The layer asks for the time while it holds its lock.
    layer.clock = lambda: layer.interrupt() or clock()

    sender = threading.Thread(target=layer.send, args=("jobs", {}), daemon=True)
    sender.start()
    sender.join(5)

    assert not sender.is_alive()
    assert drain(layer, "jobs") == [("jobs", {})]


def test_what_one_reader_leaves_wakes_the_next(layer, monkeypatch):
    # Both messages come before the reader of both channels runs, and it takes the second one.
    monkeypatch.setattr(random, "random", lambda: 0.5)
    batch = [layer.prepare("a", {}), layer.prepare("b", {})]

    received = collections.deque()
    first = threading.Thread(target=lambda: received.append(layer.receive(["a", "b"], block=True, timeout=10)))
    second = threading.Thread(target=lambda: received.append(layer.receive(["a"], block=True, timeout=10)))
    first.start()
    wait_until(lambda: len(layer._waiters.get("a", ())) == 1)
    second.start()
    wait_until(lambda: len(layer._waiters["a"]) == 2)
    layer.send_many(batch)
    first.join(5)
    second.join(5)

    assert sorted(received) == [("a", {}), ("b", {})]


# Many threads


def test_eight_threads_at_once_lose_nothing_and_break_nothing(clock):
    layer = InMemoryChannelLayer(
        clock=clock, expiry=50, group_expiry=200, capacity=20, channel_capacity={"reply.*!": 40}
    )
    channels = ["jobs", "jobs.more", "parts?a1", "parts?a2", "reply.x!1", "reply.x!2", "reply.y!1"]
    names = ["jobs", "jobs.more", "parts?a1", "parts?a2"]

    def send(draw):
        with contextlib.suppress(ChannelFull):
            layer.send(draw.choice(channels), {"list": [1]})

    def read_queue(draw):
        async def read():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(layer.read_queue(draw.choice(["reply.x!", "reply.y!"])), 0.001)

        asyncio.run(read())

    actions = {
        send: 30,
        lambda draw: layer.send_many([layer.prepare(draw.choice(channels), {}) for _ in range(5)]): 10,
        lambda draw: layer.send_group(draw.choice(["room", "hall"]), {"list": [1]}): 20,
        lambda draw: layer.receive(draw.sample(names, 2)): 30,
        lambda draw: layer.receive(draw.sample(names, 2), block=True, timeout=0.001): 5,
        lambda draw: layer.group_add(draw.choice(["room", "hall"]), draw.choice(channels)): 10,
        lambda draw: layer.group_discard(draw.choice(["room", "hall"]), draw.choice(channels)): 5,
        lambda draw: layer.group_channels(draw.choice(["room", "hall"])): 5,
        lambda draw: layer.interrupt(): 2,
        lambda draw: layer.global_statistics(): 2,
        lambda draw: layer.channel_statistics(draw.choice(channels)): 2,
        lambda draw: clock.advance(1): 2,
        read_queue: 5,
    }

    def work(number):
        draw = random.Random(number)
        for action in draw.choices(list(actions), list(actions.values()), k=1000):
            action(draw)

    side_by_side(*[lambda number=number: work(number) for number in range(8)])

    figures = layer.global_statistics()
    assert figures["messages_count"] > 3000
    assert figures["messages_count"] == (
        figures["messages_received"] + figures["messages_pending"] + figures["dropped"].get("expired", 0)
    )
    assert all(layer.channel_statistics(channel)["messages_pending"] <= 40 for channel in channels)
    assert layer._waiters == {}
