"""The queue in front of one client."""

import asyncio
import contextlib
import sys

import pytest

from channels.interface.outbox import Outbox, ResponseOutbox
from channels.interface.spool import BLOCK_SIZE, Buffer, Spool

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


@pytest.mark.parametrize("data", [{"text": "x" * 60}, {"bytes": b"x" * 60}, {"text": "é" * 30}, {"text": "漢" * 20}])
async def test_every_kind_of_data_counts_in_bytes(data):
    outbox = Outbox(Client().send, max_size=119, max_length=10)
    outbox.put({"type": "websocket.accept"})
    await settle()
    message = {"type": "websocket.send", **data}

    assert [outbox.put(message), outbox.put(message)] == [True, False]
    outbox.clear()
    outbox.put(message)
    assert [outbox.put(event(59)), outbox.put(event(1))] == [True, False]


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


async def test_what_waits_can_be_forgotten_for_something_else():
    client = Client()
    outbox = Outbox(client.send, max_size=10, max_length=10)
    for size in (1, 8, 2):
        outbox.put(event(size))
    await settle()

    outbox.clear()
    outbox.put(event(9))
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


# Responses


def start(status=200):
    return {"type": "http.response.start", "status": status, "headers": []}


def body(content=b"", more=True):
    return {"type": "http.response.body", "body": content, "more_body": more}


def response_outbox(send, on_failure=None):
    return ResponseOutbox(send, Buffer(Spool(0, 2**20), 2**20), on_failure)


async def test_a_response_is_sent_as_it_comes():
    client = Client()
    outbox = response_outbox(client.send)
    for event in (start(), body()):
        outbox.put(event)
    await client.takes(10)
    # The start alone is not sent by every server.
    assert client.taken == [start(), body()]

    outbox.put(body(b"1"))
    await settle()
    outbox.put(body(b"2", more=False))
    await settle()

    assert client.taken == [start(), body(), body(b"1"), body(b"2", more=False)]
    assert not outbox.is_sending


async def test_what_waits_for_a_client_is_sent_together():
    client = Client()
    outbox = response_outbox(client.send)
    for event in (start(), body(b"1"), body(b"2"), body(b"3", more=False)):
        outbox.put(event)
    await client.takes(10)

    assert client.taken == [start(), body(b"123", more=False)]


async def test_a_response_that_lies_in_a_file_arrives_whole():
    client = Client()
    outbox = response_outbox(client.send)
    outbox.put(start())
    outbox.put(body(bytes(BLOCK_SIZE) + b"x" * BLOCK_SIZE + b"y" * 10))
    await outbox.buffer.settle()
    outbox.put(body(b"z", more=False))
    await client.takes(10)

    assert client.taken == [
        start(),
        body(bytes(BLOCK_SIZE)),
        body(b"x" * BLOCK_SIZE),
        body(b"y" * 10 + b"z", more=False),
    ]


async def test_a_server_that_does_not_take_a_response_says_why():
    async def send(event):
        raise RuntimeError("too long")

    failures = []
    outbox = response_outbox(send, failures.append)
    outbox.put(start())
    outbox.put(body(b"1"))
    await settle()

    assert [str(failure) for failure in failures] == ["too long"]
    assert outbox.buffer.size == 0
