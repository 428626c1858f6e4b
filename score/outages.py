"""
A store that goes away and comes back, with its data or without: S-07 to S-09.

The IPC layer has no server that could go away; its folder can be deleted under all of its processes. A broker of
RabbitMQ keeps no messages for us: it comes back with its queues, or with nothing.
"""

import asyncio
import contextlib
import json
import shutil
import time

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

PER_ROOM = 5
# How long a room may take to hear again before its sockets count as never having recovered.
PATIENCE = 30


class Rooms:
    """Open sockets in rooms; what each of them has heard."""

    def __init__(self, port, count):
        self._port = port
        self._count = count
        self.sockets = {}
        self.heard = {}
        # The code by which a socket was closed, None where it was cut, by its number.
        self.closed = {}
        self._listeners = []

    async def open(self):
        """Open the sockets of all rooms."""
        for number in range(self._count):
            address = f"ws://127.0.0.1:{self._port}/plain/room{number // PER_ROOM}/"
            self.sockets[number] = await connect(address, compression=None, proxy=None, open_timeout=30)
            self.heard[number] = set()
            self._listeners.append(asyncio.create_task(self._listen(number)))

    async def _listen(self, number):
        try:
            async for text in self.sockets[number]:
                self.heard[number].add(json.loads(text)["number"])
        except ConnectionClosed:
            pass
        frame = self.sockets[number].protocol.close_rcvd
        self.closed[number] = frame and frame.code

    async def ask(self, word):
        """Let one socket of each room speak."""
        for number in range(0, self._count, PER_ROOM):
            with contextlib.suppress(ConnectionClosed):
                await self.sockets[number].send(json.dumps({"from": number, "number": word}))

    def deaf(self, words):
        """Return the open sockets that have heard none of the words."""
        return [number for number in self.sockets if number not in self.closed and not self.heard[number] & words]

    async def recover(self, patience):
        """Speak four times a second until every open socket has heard some of it; return whether that happened."""
        deadline, words = time.monotonic() + patience, set()
        while time.monotonic() < deadline:
            words.add(word := time.monotonic())
            await self.ask(word)
            await asyncio.sleep(0.25)
            if not self.deaf(words):
                return True
        return False

    async def close(self):
        """Close the sockets that are open."""
        await asyncio.gather(*(socket.close() for socket in self.sockets.values()))
        await asyncio.gather(*self._listeners)


def restart_store(session):
    """Stop the store for a second; it comes back with its data (S-07)."""
    return _outage(session, _Kept, session.size(200, 50))


def lose_store(session):
    """Stop the store for a second; it comes back empty. Ten seconds later every socket is asked (S-08)."""
    return _outage(session, _Lost, session.size(200, 50))


def cut_and_restart_broker(session):
    """Cut all connections to the broker of RabbitMQ, and then stop it for a second (S-09)."""
    if session.layer != "rabbitmq":
        return None
    with session.stage() as stage:
        cut = _live_through(_Kept(), session.size(200, 50), stage, lambda: _do(session.broker.cut))
    with session.stage() as stage:
        restarted = _live_through(_Restarted(), session.size(200, 50), stage, lambda: _do(session.broker.restart))
    return {
        "recovery_from_cut": cut["recovery"],
        "recovery_from_restart": restarted["recovery"],
        **{name: cut[name] + restarted[name] for name in ("dropped_sockets", "ended_processes")},
        "sockets": cut["sockets"],
    }


class _Kept:
    """Every write is on disk before it counts."""

    keeps = True
    config = {"appendonly": "yes", "appendfsync": "always"}

    async def measure(self, rooms, back):
        """Return how long it takes until all sockets hear, from the moment the store is back."""
        recovered = await rooms.recover(PATIENCE)
        return {"recovery": round(time.monotonic() - back, 2) if recovered else None}


class _Restarted(_Kept):
    """Queues are there again, without messages: rooms hear before anything is registered again, or after."""

    keeps = None


class _Lost:
    """Nothing is written to disk."""

    keeps = False
    config = {"save": '""', "appendonly": "no"}

    async def measure(self, rooms, back):
        """Return how many open sockets hear nothing, ten seconds after the store was back."""
        await asyncio.sleep(max(0, back + 10 - time.monotonic()))
        word = "after"
        await rooms.ask(word)
        await asyncio.sleep(5)
        return {"zombies": len(rooms.deaf({word}))}


def _outage(session, kind, sockets):
    kind = kind()
    if session.layer == "ipc":
        if kind.keeps:
            return None
        with session.stage() as stage:
            return _live_through(kind, sockets, stage, lambda: _do(shutil.rmtree, stage.folder / "ipc"))
    if session.layer == "rabbitmq":
        if kind.keeps:
            return None
        with session.stage() as stage:
            return _live_through(kind, sockets, stage, lambda: _do(session.broker.empty, stage.folder.name))
    with session.own_valkey(**kind.config) as valkey, session.stage(valkey) as stage:
        return _live_through(kind, sockets, stage, lambda: _do(_restart, valkey))


def _live_through(kind, sockets, stage, outage):
    workers, server = stage.start_workers(2, "--threads", "2"), stage.serve()

    async def live_through():
        rooms = Rooms(server.port, sockets)
        await rooms.open()
        assert await rooms.recover(PATIENCE), "The rooms hear nothing even before the outage."
        back = await asyncio.to_thread(outage)
        found = await kind.measure(rooms, back)
        codes = list(rooms.closed.values())
        await rooms.close()
        return {**found, "dropped_sockets": len(codes), "cut_sockets": len(codes) - codes.count(1012)}

    found = asyncio.run(live_through())
    if kind.keeps is not None:
        assert ("registered again" in server.log) is not kind.keeps, "The store has not done what this row is about."
    ended = [process for process in (server, *workers) if process.process.poll() is not None]
    return {**found, "sockets": sockets, "ended_processes": len(ended)}


def _do(outage, *arguments):
    """Have something happen to the store, and return when it is over."""
    outage(*arguments)
    return time.monotonic()


def _restart(valkey):
    valkey.stop()
    time.sleep(1)
    valkey.start()
