"""A store, or a way to it, that fails: nothing comes twice, losses are bounded, and everything goes on after it."""

import asyncio
import os
import threading
import time
import traceback

import pytest

from channels.exceptions import ChannelLayerUnavailable
from channels.layers.base import Entry
from channels.layers.redis import RedisChannelLayer, asides, store

from ....chaos import ChaosProxy
from ....services import free_port
from .traffic import QUEUE, drain, fill, in_threads


@pytest.fixture
def proxy(valkey):
    with ChaosProxy((valkey.host, valkey.port)) as proxy:
        yield proxy


@pytest.fixture
def behind(proxy, prefix):
    """The layer ``direct``, whose store is behind the proxy."""
    return RedisChannelLayer(hosts=[proxy.address], prefix=prefix, capacity=20_000)


async def longest_pause(action):
    """Run something on this event loop; return for how long the loop did not get to anything else, at most."""
    longest, watched = 0.0, asyncio.ensure_future(action)
    while not watched.done():
        before = time.monotonic()
        await asyncio.sleep(0.01)
        longest = max(longest, time.monotonic() - before)
    await watched
    return longest


# Slow


def test_a_slow_store_never_blocks_an_event_loop(behind, proxy):
    async def serve():
        await behind.renew_lease(QUEUE)
        proxy.delay = 1.0
        behind._hosts[0].asides.ask_again()
        await behind.send_many_async([behind.prepare(f"{QUEUE}1", {"text": "slow"})])
        return await behind.read_queue(QUEUE)

    assert asyncio.run(longest_pause(serve())) < 0.1


def test_a_store_that_pauses_never_blocks_an_event_loop(behind, valkey):
    async def serve():
        await behind.renew_lease(QUEUE)
        behind._hosts[0].asides.ask_again()
        valkey.client().client_pause(1000)
        await behind.send_many_async([behind.prepare(f"{QUEUE}1", {"text": "slow"})])
        return await behind.read_queue(QUEUE)

    assert asyncio.run(longest_pause(serve())) < 0.1


# Cut off


def test_broken_connections_lose_one_message_each_at_most_and_repeat_none(behind, direct, proxy):
    count, resets = 20_000, 50
    fill(direct, "jobs", count)
    received, uncertain = [], []

    def read(_):
        while True:
            try:
                channel, message = behind.receive(["jobs"])
            except ChannelLayerUnavailable as error:
                uncertain.append(error.uncertain)
                continue
            if channel is None:
                return
            received.append(message["number"])

    threads, _ = in_threads(read, range(4))
    for reset in range(1, resets + 1):
        while len(received) < reset * count / (resets + 2):
            time.sleep(0.001)
        proxy.reset_one()
    for thread in threads:
        thread.join()

    assert len(received) == len(set(received))
    assert count - len(received) <= sum(uncertain) <= resets


def test_a_send_whose_connection_broke_is_uncertain_only_when_it_was_written(behind, proxy):
    behind.send("jobs", {"number": 0})
    proxy.target = (proxy.host, free_port())
    proxy.cut()

    with pytest.raises(ChannelLayerUnavailable) as raised:
        behind.send("jobs", {"number": 1})
    assert raised.value.uncertain is False


def test_a_store_that_closes_the_connection_of_an_event_loop_is_named_as_the_reason(behind, valkey):
    async def serve():
        await behind.send_many_async([behind.prepare("jobs", {})])
        reader = asyncio.create_task(behind.read_queue(QUEUE))
        await asyncio.sleep(0.1)
        valkey.client().execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await reader

    with pytest.raises(ChannelLayerUnavailable, match=r"The store has closed the connection\.$"):
        asyncio.run(serve())


def test_a_worker_reads_on_soon_after_its_connection_went_silent(behind, direct, proxy):
    assert behind.receive(["jobs"]) == (None, None)
    proxy.halt()
    silent = time.monotonic()

    with pytest.raises(ChannelLayerUnavailable) as raised:
        behind.receive(["jobs"], block=True)
    direct.send("jobs", {"number": 1})
    received = behind.receive(["jobs"], block=True, timeout=5)

    assert raised.value.uncertain is True
    assert received == ("jobs", {"number": 1})
    assert time.monotonic() - silent < store.BLOCK + store.ANSWER_TIMEOUT + 0.5


def test_an_interface_server_reads_on_soon_after_its_connection_went_silent(behind, direct, proxy):
    async def serve():
        reader = asyncio.create_task(behind.read_queue(QUEUE))
        await behind.send_many_async([behind.prepare(f"{QUEUE}1", {})])
        await reader
        proxy.halt()
        silent = time.monotonic()
        with pytest.raises(ChannelLayerUnavailable):
            await behind.read_queue(QUEUE)
        direct.send(f"{QUEUE}1", {"text": "hello"})
        return await behind.read_queue(QUEUE), time.monotonic() - silent

    entries, seconds = asyncio.run(serve())

    assert entries == [Entry(local="1", content={"text": "hello"})]
    assert seconds < store.BLOCK + store.ANSWER_TIMEOUT + 0.5


def test_memberships_whose_changes_were_lost_on_the_way_are_told_anew(behind, direct, proxy):
    direct.group_add("left", f"{QUEUE}1")

    async def serve():
        await behind.renew_lease(QUEUE)
        before = await behind.read_queue(QUEUE)
        reader = asyncio.create_task(behind.read_queue(QUEUE))
        await asyncio.sleep(0.1)
        proxy.halt()
        direct.group_add("joined", f"{QUEUE}1")
        direct.group_discard("left", f"{QUEUE}1")
        with pytest.raises(ChannelLayerUnavailable):
            await reader
        await behind.restate_memberships(QUEUE)
        return before, await behind.read_queue(QUEUE)

    before, after = asyncio.run(serve())

    assert before == [Entry("1", "left", joins=True)]
    assert after[:2] == [Entry(), Entry("1", "joined", joins=True)]


def test_memberships_are_not_told_anew_by_a_store_that_has_lost_them(direct):
    direct.group_add("room", f"{QUEUE}1")

    async def serve():
        await direct.restate_memberships(QUEUE)
        return await direct.read_queue(QUEUE)

    assert asyncio.run(serve()) == [Entry("1", "room", joins=True)]


# Scripts


def test_scripts_that_are_flushed_under_load_lose_and_repeat_nothing(direct, valkey):
    received, stop = [], threading.Event()

    def read(_):
        while not (stop.is_set() and direct.channel_statistics("jobs")["messages_pending"] == 0):
            _, message = direct.receive(["jobs"], block=True, timeout=0.1)
            if message:
                received.append(message["number"])

    def flush(_):
        while not stop.wait(0.2):
            valkey.client().script_flush()

    async def write_on_a_loop():
        for number in range(1, 3000, 2):
            assert await direct.send_many_async([direct.prepare("jobs", {"number": number})]) == []
            await asyncio.sleep(0.001)

    threads, _ = in_threads(lambda action: action(None), [read, flush])
    for number in range(0, 3000, 2):
        direct.send("jobs", {"number": number})
        time.sleep(0.001)
    asyncio.run(write_on_a_loop())
    stop.set()
    for thread in threads:
        thread.join()

    assert sorted(received) == list(range(3000))


# Clocks and forks


@pytest.mark.parametrize("skew", [-90, 90])
def test_the_clock_of_a_machine_decides_nothing(direct, valkey, prefix, monkeypatch, skew):
    skewed = RedisChannelLayer(hosts=[(valkey.host, valkey.port)], prefix=prefix, clock=lambda: time.monotonic() + skew)

    class Skewed:
        monotonic = staticmethod(lambda: time.monotonic() + skew)

    with monkeypatch.context() as patches:
        patches.setattr(asides, "time", Skewed)
        fill(skewed, "jobs", 100)
        skewed.group_add("room", "jobs")
    sent_by_skewed = drain(direct, "jobs")
    fill(direct, "jobs", 100)
    members = direct.group_channels("room")
    with monkeypatch.context() as patches:
        patches.setattr(asides, "time", Skewed)
        received_by_skewed = drain(skewed, "jobs")

    assert sent_by_skewed == list(range(100))
    assert received_by_skewed == list(range(100))
    assert members == ["jobs"]


def test_forked_processes_share_no_connection(direct):
    direct.send("jobs?parent", {"number": 0})
    children = [_fork(_send_and_receive, direct, child) for child in range(4)]

    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 4
    assert direct.receive(["jobs?parent"]) == ("jobs?parent", {"number": 0})


def _fork(action, *arguments):
    child = os.fork()
    if child:
        return child
    # Here is the child: whatever happens, it must not go on with the tests.
    status = 1
    try:
        action(*arguments)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _send_and_receive(redis, child):
    channel = f"jobs?{child}"
    for number in range(1000):
        redis.send(channel, {"child": child, "number": number})
        assert redis.receive([channel]) == (channel, {"child": child, "number": number})
