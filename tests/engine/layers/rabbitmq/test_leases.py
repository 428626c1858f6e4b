"""Leases and last wills over a real broker: who has died is noticed, and spoken for once."""

import asyncio
import contextlib
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

from .connections import cut, vanish

QUEUE = "reply.a!"


@pytest.fixture
def short(monkeypatch):
    """Leases that die soon."""
    monkeypatch.setattr(topology, "LEASE", 1.0)
    monkeypatch.setattr(wills, "SECOND_CHANCE", 0.1)


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


def settle(layer):
    """Wait until the broker knows which wills are void."""
    layer._io.run(layer._io.wills._of(QUEUE).is_short())


def waiting(layer, queue):
    """Return how many messages wait in a queue of the broker, None if it has no such queue."""
    return layer._io.run(layer._io._broker.declarer.count(queue))


def wait_until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def told_of_the_dead(layer, channel="websocket.disconnect"):
    """Return what has come when the wills of the process have been carried out."""
    names = layer._io._broker.names
    wait_until(lambda: waiting(layer, names.wills(QUEUE)) is None)
    found = []
    while delivery := layer.take([channel]):
        found.append(delivery)
    return found


def sockets(deliveries):
    return sorted(delivery.content["socket"] for delivery in deliveries)


def test_the_wills_of_a_dead_process_are_carried_out_once(short, layer, other):
    async def live_and_die():
        await layer.renew_lease(QUEUE)
        await layer.send_many_async([opening(layer, number) for number in range(3)])
        await layer.send_many_async([closing(layer, 1)])

    asyncio.run(live_and_die())
    before = other.take(["websocket.disconnect"])
    settle(layer)
    vanish(layer)

    assert before == Delivery("websocket.disconnect", {"socket": 1})
    assert sockets(told_of_the_dead(other)) == [0, 2]


def test_a_lease_is_one_word_which_each_renewal_replaces(layer, other):
    async def live():
        return [await layer.renew_lease(QUEUE) for _ in range(3)]

    assert asyncio.run(live()) == [Lease.NEW, Lease.KEPT, Lease.KEPT]
    assert waiting(other, other._io._broker.names.lease(QUEUE)) == 1


def test_a_process_that_was_cut_off_and_comes_back_keeps_its_wills(layer, other):
    async def live():
        await layer.renew_lease(QUEUE)
        await layer.send_many_async([opening(layer, 1)])
        settle(layer)
        cut(layer)
        while True:
            with contextlib.suppress(ChannelLayerUnavailable):
                return await layer.renew_lease(QUEUE)
            await asyncio.sleep(0.05)

    assert asyncio.run(live()) is Lease.KEPT
    vanish(layer)
    wait_until(lambda: waiting(other, other._io._broker.names.wills(QUEUE)) == 1)


def test_a_process_that_was_taken_for_dead_learns_so_and_its_wills_are_carried_out(short, layer, other):
    async def live_and_stand_still():
        first = await layer.renew_lease(QUEUE)
        await layer.send_many_async([opening(layer, 1)])
        wait_until(lambda: waiting(other, other._io._broker.names.lease(QUEUE)) is None)
        return first, await layer.renew_lease(QUEUE)

    assert asyncio.run(live_and_stand_still()) == (Lease.NEW, Lease.LOST)
    assert sockets(told_of_the_dead(other)) == [1]


def test_a_process_that_has_ended_its_lease_leaves_no_queue_behind(layer, broker, prefix):
    async def live_and_end():
        await layer.renew_lease(QUEUE)
        await layer.set_wills(QUEUE, [("1", layer.prepare("http.disconnect", {}))])
        await layer.end_lease(QUEUE)

    asyncio.run(live_and_end())

    assert prefix + QUEUE not in broker.evaluate("rabbit_amqqueue:list_names()")


def test_the_newest_will_counts_and_one_that_was_taken_back_does_not(short, layer, other):
    content = {"reply_channel": f"{QUEUE}1"}
    first, changed = (layer.prepare_will("gone", content, Ticket(number, {"a": number})) for number in (1, 2))

    async def live_and_die():
        await layer.renew_lease(QUEUE)
        await layer.set_wills(QUEUE, [("1", first), ("2", first)])
        await layer.set_wills(QUEUE, [("1", changed), ("2", None)])

    asyncio.run(live_and_die())
    settle(layer)
    vanish(layer)

    assert told_of_the_dead(other, "gone") == [Delivery("gone", content, Ticket(2, {"a": 2}))]


def test_a_connect_message_that_was_refused_leaves_no_will(short, broker, prefix, other):
    layer = RabbitmqChannelLayer(hosts=[broker.url], prefix=prefix, channel_capacity={"websocket.connect": 1})

    async def open_two():
        await layer.renew_lease(QUEUE)
        return [len(await layer.send_many_async([opening(layer, number)])) for number in (1, 2)]

    refused = asyncio.run(open_two())
    settle(layer)
    vanish(layer)

    assert refused == [0, 1]
    assert sockets(told_of_the_dead(other)) == [1]


def test_wills_that_cannot_be_carried_out_for_want_of_memory_are_when_there_is_some(short, layer, other):
    broker, checks = other._io._broker, []
    link, check = broker.publishing, broker.publisher.check
    broker.publisher.check = lambda: (checks.append(link.blocked), check())

    async def live():
        await layer.renew_lease(QUEUE)
        await layer.send_many_async([opening(layer, number) for number in range(3)])

    asyncio.run(live())
    settle(layer)
    link.blocked = "low on memory"
    vanish(layer)
    wait_until(lambda: checks)
    link.blocked = ""

    assert sockets(told_of_the_dead(other)) == [0, 1, 2]


def test_whoever_fails_to_carry_out_wills_leaves_them_to_somebody(short, layer, other, monkeypatch):
    failures = []
    declarer = other._io._broker.declarer
    look = declarer.look

    async def fail_once(name):
        if not failures:
            failures.append(name)
            raise ChannelLayerUnavailable("The connection to the broker was lost.")
        return await look(name)

    monkeypatch.setattr(declarer, "look", fail_once)

    async def live():
        await layer.renew_lease(QUEUE)
        await layer.send_many_async([opening(layer, 1)])

    asyncio.run(live())
    settle(layer)
    vanish(layer)
    wait_until(lambda: failures)

    assert sockets(told_of_the_dead(other)) == [1]


def test_the_groups_of_a_dead_process_lead_nowhere(short, layer, other, broker, prefix):
    asyncio.run(layer.renew_lease(QUEUE))
    other.group_add("room", f"{QUEUE}1")
    vanish(layer)

    wait_until(lambda: prefix + QUEUE not in broker.evaluate('rabbit_binding:list(<<"/">>)'))


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
    told = told_of_the_dead(reader)

    assert time.monotonic() - killed < 15
    assert sockets(told) == list(range(200))


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
