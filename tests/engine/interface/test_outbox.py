"""The queue in front of one client."""

import asyncio
import contextlib
import sys

import pytest

from channels.interface.outbox import Outbox

from .simulated_time import longest_pause, settle


def event(size, kind="text"):
    return {"type": "websocket.send", kind: "x" * size if kind == "text" else b"x" * size}


class Client:
    """Takes events one by one, each when it is allowed to."""

    def __init__(self):
        self.taken = []
        self.permits = asyncio.Semaphore(0)

    async def send(self, event):
        await self.permits.acquire()
        self.taken.append(event)

    async def takes(self, number):
        for _ in range(number):
            self.permits.release()
        await settle()


async def test_events_are_sent_in_order_and_one_at_a_time():
    client = Client()
    outbox = Outbox(client.send, max_size=100, max_length=10)
    events = [event(number) for number in range(5)]
    for each in events:
        assert outbox.put(each)

    await client.takes(2)
    assert client.taken == events[:2]

    await client.takes(3)
    assert client.taken == events


@pytest.mark.parametrize(
    ("sizes", "fits"),
    [
        # The first is with the server already; the limits are for what waits behind it.
        ([1, 99], True),
        ([1, 100], True),
        ([1, 100, 1], False),
        ([1, 60, 40], True),
        ([1, 60, 41], False),
        ([1, 0, 0, 0], True),
        ([1, 0, 0, 0, 0], False),
        ([1000], True),
        ([1, 1000], True),
        ([1, 1000, 0], False),
    ],
)
async def test_what_may_wait_is_bounded_in_bytes_and_in_events(sizes, fits):
    outbox = Outbox(Client().send, max_size=100, max_length=3)
    first, *waiting = sizes
    outbox.put(event(first))
    await settle()

    *room, last = [outbox.put(event(size)) for size in waiting] or [True]

    assert (all(room), last) == (True, fits)


@pytest.mark.parametrize("kind", ["text", "bytes", "body"])
async def test_every_kind_of_data_counts(kind):
    outbox = Outbox(Client().send, max_size=100, max_length=10)
    outbox.put({"type": "websocket.accept"})
    await settle()

    assert [outbox.put(event(60, kind)), outbox.put(event(60, kind))] == [True, False]


async def test_room_comes_back_as_the_client_takes_its_events():
    client = Client()
    outbox = Outbox(client.send, max_size=100, max_length=10)
    for size in (1, 60):
        outbox.put(event(size))
    await settle()
    assert not outbox.put(event(60))

    await client.takes(1)

    assert outbox.put(event(60))


async def test_drained_waits_for_the_last_event():
    client = Client()
    outbox = Outbox(client.send, max_size=100, max_length=10)
    await outbox.drained()
    outbox.put(event(1))
    outbox.put(event(2))
    drained = asyncio.create_task(outbox.drained())

    await client.takes(1)
    assert not drained.done()

    await client.takes(1)
    assert drained.done()


async def test_an_event_is_confirmed_after_the_server_has_taken_it():
    client, confirmed = Client(), []
    outbox = Outbox(client.send, 100, 10, confirmed.append)
    outbox.put(event(1))
    outbox.put(event(2))

    await client.takes(1)

    assert confirmed == [event(1)]


async def test_replace_forgets_what_waits():
    client = Client()
    outbox = Outbox(client.send, max_size=10, max_length=10)
    for size in (1, 8, 2):
        outbox.put(event(size))
    await settle()

    outbox.replace(event(9))
    await client.takes(5)

    assert client.taken == [event(1), event(9)]


async def test_cancel_ends_the_sending_and_the_waiting_for_it():
    client = Client()
    outbox = Outbox(client.send, max_size=10, max_length=10)
    outbox.put(event(1))
    outbox.put(event(2))
    drained = asyncio.create_task(outbox.drained())
    await settle()

    outbox.cancel()
    await client.takes(2)

    assert client.taken == []
    assert (drained.done(), drained.cancelled()) == (True, False)


async def test_a_server_that_raises_loses_what_waits_and_takes_what_comes_later():
    sent = []

    async def send(event):
        if not sent:
            sent.append("failed")
            await asyncio.sleep(0)
            raise ConnectionResetError
        sent.append(event)

    outbox = Outbox(send, max_size=10, max_length=10)
    outbox.put(event(1))
    outbox.put(event(9))
    await settle()
    outbox.put(event(8))
    await outbox.drained()

    assert sent == ["failed", event(8)]


async def test_where_tasks_can_begin_at_once_what_a_server_takes_at_once_is_sent_at_once():
    sent = []

    async def send(event):
        sent.append(event)

    outbox = Outbox(send, max_size=10, max_length=10)
    for size in (1, 2, 3):
        outbox.put(event(size))
    at_once = list(sent)
    await outbox.drained()

    assert at_once == ([event(1), event(2), event(3)] if sys.version_info >= (3, 12) else [])
    assert sent == [event(1), event(2), event(3)]


async def test_a_server_that_is_cancelled_or_uses_timeouts_troubles_nobody_else():
    """What it does to the current task must not be done to whoever has put the event."""

    async def send(event):
        if event["text"] == "x":
            raise asyncio.CancelledError
        async with asyncio.timeout(0.01):
            await asyncio.sleep(1)

    outbox = Outbox(send, max_size=10, max_length=10)
    outbox.put(event(1))
    await settle()
    outbox.put(event(2))
    await asyncio.sleep(0.1)
    await outbox.drained()


async def test_a_server_may_wait_for_anything_in_the_middle_of_an_event():
    sent, gate = [], asyncio.Event()

    async def send(event):
        await asyncio.sleep(0)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(gate.wait(), 0.01)
        sent.append(event)

    outbox = Outbox(send, max_size=10, max_length=10)
    outbox.put(event(1))
    outbox.put(event(2))
    waiting = list(sent)
    await outbox.drained()

    assert waiting == []
    assert sent == [event(1), event(2)]


async def test_a_client_that_takes_everything_at_once_does_not_keep_the_loop():
    taken, loop = [], asyncio.get_running_loop()
    reads = asyncio.Event()

    async def send(event):
        await reads.wait()
        loop.pass_time(0.0001)
        taken.append(event)

    outbox = Outbox(send, max_size=10_000, max_length=1000)
    events = [event(number) for number in range(100)]
    for each in events:
        assert outbox.put(each)
    await settle()
    reads.set()

    pause = await longest_pause(lambda: len(taken) == 100)

    assert pause < 0.0015
    assert taken == events
