"""Leases and last wills over a real broker: who has died is noticed, and spoken for once."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from channels.exceptions import ChannelLayerUnavailable
from channels.layers.base import Delivery, Lease, Ticket, UnderWay
from channels.layers.rabbitmq import RabbitmqChannelLayer, topology, wills

QUEUE = "reply.a!"
LEASE = 1.0


@pytest.fixture
def short(monkeypatch):
    """Leases that die soon."""
    monkeypatch.setattr(topology, "LEASE", LEASE)
    monkeypatch.setattr(wills, "SECOND_CHANCE", 0.5)


@pytest.fixture
def layer(broker, prefix):
    return RabbitmqChannelLayer(hosts=[broker.url], prefix=prefix)


@pytest.fixture
def other(broker, prefix):
    """The layer as another process has it."""
    layer = RabbitmqChannelLayer(hosts=[broker.url], prefix=prefix)
    layer.receive(["any"])
    return layer


def opening(layer, number):
    """Return the connect message of a socket, with the last will that it leaves."""
    will = layer.prepare("websocket.disconnect", {"socket": number})
    return layer.prepare("websocket.connect", {})._replace(reply_channel=f"{QUEUE}{number}", will=will)


def closing(layer, number):
    return layer.prepare("websocket.disconnect", {"socket": number})._replace(reply_channel=f"{QUEUE}{number}")


def vanish(layer):
    """Cut the connections of a layer, and have it make no other ones."""
    core = layer._core

    async def leave():
        for task in core._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        for link in core.publishing, core.reading:
            link._connection.close()

    core.run(leave())


def cut(layer):
    """Cut the connections of a layer."""
    for link in layer._core.publishing, layer._core.reading:
        layer._core.post(link._connection.close)


def received(layer, channel, seconds=0.0):
    """Return the content of all messages that come within some seconds."""
    found, deadline = [], time.monotonic() + seconds
    while True:
        _, message = layer.receive([channel], block=seconds > 0, timeout=max(0.0, deadline - time.monotonic()))
        if message is not None:
            found.append(message)
        elif time.monotonic() >= deadline:
            return found


def test_the_wills_of_a_dead_process_are_carried_out_once(short, layer, other):
    async def live_and_die():
        await layer.renew_lease(QUEUE)
        await layer.send_many_async([opening(layer, number) for number in range(3)])
        await layer.send_many_async([closing(layer, 1)])

    asyncio.run(live_and_die())
    before = received(other, "websocket.disconnect")
    vanish(layer)

    assert before == [{"socket": 1}]
    assert sorted(message["socket"] for message in received(other, "websocket.disconnect", 4.0)) == [0, 2]


def test_a_process_that_renews_its_lease_is_not_spoken_for(short, layer, other):
    async def live():
        await layer.renew_lease(QUEUE)
        await layer.send_many_async([opening(layer, 1)])
        for _ in range(10):
            await asyncio.sleep(LEASE / 3)
            assert await layer.renew_lease(QUEUE) is Lease.KEPT

    asyncio.run(live())

    assert received(other, "websocket.disconnect") == []


def test_a_process_that_was_cut_off_and_comes_back_soon_is_not_spoken_for(short, layer, other):
    async def live():
        await layer.renew_lease(QUEUE)
        await layer.send_many_async([opening(layer, 1)])
        cut(layer)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                return await layer.renew_lease(QUEUE)
            except ChannelLayerUnavailable:
                await asyncio.sleep(0.05)

    assert asyncio.run(live()) is Lease.KEPT
    vanish(layer)
    assert received(other, "websocket.disconnect", 4.0) == [{"socket": 1}]


def test_a_process_that_was_taken_for_dead_learns_so(short, layer, other):
    async def live_and_stand_still():
        first = await layer.renew_lease(QUEUE)
        await layer.send_many_async([opening(layer, 1)])
        await asyncio.sleep(LEASE + 1.5)
        return first, await layer.renew_lease(QUEUE)

    assert asyncio.run(live_and_stand_still()) == (Lease.NEW, Lease.LOST)
    assert received(other, "websocket.disconnect", 4.0) == [{"socket": 1}]


def test_a_process_that_has_ended_its_lease_is_not_spoken_for_and_leaves_no_queue_behind(layer, broker, prefix):
    async def live_and_end():
        await layer.renew_lease(QUEUE)
        await layer.set_wills(QUEUE, [("1", layer.prepare("http.disconnect", {}))])
        await layer.end_lease(QUEUE)

    asyncio.run(live_and_end())

    assert [name for name in broker.ctl("list_queues", "name").split() if prefix + QUEUE in name] == []


def test_the_newest_will_counts_and_one_that_was_taken_back_does_not(short, layer, other):
    content = {"reply_channel": f"{QUEUE}1"}
    first, changed = (layer.prepare_will("gone", content, Ticket(number, {"a": number})) for number in (1, 2))

    async def live_and_die():
        await layer.renew_lease(QUEUE)
        await layer.set_wills(QUEUE, [("1", first), ("2", first)])
        await layer.set_wills(QUEUE, [("1", changed), ("2", None)])
        # A full circle: the broker has all of it.
        await layer.renew_lease(QUEUE)

    asyncio.run(live_and_die())
    vanish(layer)
    found = [other.take(["gone"], timeout) for timeout in (5.0, 0.5)]

    assert found == [Delivery("gone", content, Ticket(2, {"a": 2})), None]


def test_a_connect_message_that_was_refused_leaves_no_will(short, broker, prefix, other):
    layer = RabbitmqChannelLayer(hosts=[broker.url], prefix=prefix, channel_capacity={"websocket.connect": 1})

    async def open_two():
        await layer.renew_lease(QUEUE)
        return [len(await layer.send_many_async([opening(layer, number)])) for number in (1, 2)]

    refused = asyncio.run(open_two())
    vanish(layer)

    assert refused == [0, 1]
    assert received(other, "websocket.disconnect", 4.0) == [{"socket": 1}]


def test_the_groups_of_a_dead_process_lead_nowhere(short, layer, other, broker, prefix):
    async def live_and_die():
        await layer.renew_lease(QUEUE)

    asyncio.run(live_and_die())
    other.group_add("room", f"{QUEUE}1")
    vanish(layer)
    deadline = time.monotonic() + 20
    while f"{prefix}{QUEUE}\troom" in broker.ctl("list_bindings", "destination_name", "routing_key"):
        assert time.monotonic() < deadline


SERVER = """
    import asyncio, sys
    from channels.layers.rabbitmq import RabbitmqChannelLayer

    layer = RabbitmqChannelLayer(hosts=[sys.argv[1]], prefix=sys.argv[2])

    async def live():
        await layer.renew_lease("reply.a!")
        wills = [(str(n), layer.prepare("websocket.disconnect", {"socket": n})) for n in range(200)]
        await layer.set_wills("reply.a!", wills)
        print("lives", flush=True)
        while True:
            await layer.renew_lease("reply.a!")
            await asyncio.sleep(2)

    asyncio.run(live())
"""


def test_the_end_of_each_socket_is_told_once_within_15_seconds_of_a_kill(broker, prefix):
    reader = RabbitmqChannelLayer(hosts=[broker.url], prefix=prefix, capacity=1000)
    reader.receive(["websocket.disconnect"])
    server = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SERVER), broker.url, prefix],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert server.stdout.readline() == "lives\n"
    server.send_signal(signal.SIGKILL)
    killed = time.monotonic()
    server.wait()
    first = reader.receive(["websocket.disconnect"], block=True, timeout=15)[1]
    took = time.monotonic() - killed
    rest = received(reader, "websocket.disconnect", 2.0)

    assert took < 15
    assert sorted(message["socket"] for message in [first, *rest]) == list(range(200))


def test_readers_learn_what_the_workers_of_other_processes_have(layer, other, broker, prefix):
    busy = RabbitmqChannelLayer(hosts=[broker.url], prefix=prefix)

    async def put():
        content = {"reply_channel": f"{QUEUE}1"}
        await layer.send_many_async([layer.prepare("jobs", content, ticket=Ticket(7))])

    async def lost():
        return await layer.find_lost([UnderWay("jobs", f"{QUEUE}1", 7, 1.0)])

    asyncio.run(put())
    waiting = asyncio.run(lost())
    other.take(["jobs"])
    busy.renew_worker("worker", [UnderWay("jobs", f"{QUEUE}1", 7)])
    at_work = asyncio.run(lost())
    busy.end_worker("worker")

    assert (waiting, at_work) == ([], [])
    assert len(asyncio.run(lost())) == 1
