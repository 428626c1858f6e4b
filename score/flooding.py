"""What a client that floods its sockets costs the others: S-35."""

import asyncio
import contextlib
import statistics
import time

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from .flooder import INTERVAL, flooding

# Sockets that are flooded.
FLOODED = 5
# The others speak so often, in messages per second.
PACE = 2
# In seconds; an echo that takes longer is missing.
PATIENCE = 5
LAYERS = {"Redis": {}, "in-memory": {"CHANNEL_LAYER_URL": "memory://", "WORKER_THREADS": "2"}}


def flood_beside(session):
    """Time echoes of paced sockets without a flood and beside one, in turn, on each layer and server (S-35)."""
    sockets, seconds, turns = session.size((100, 5, 5), (20, 2, 1))
    found = {
        f"{layer}, {server}": _turns(session, environment, server, sockets, seconds, turns)
        for layer, environment in LAYERS.items()
        for server in ("daphne", "uvicorn")
    }
    return {
        **sum_up(found),
        "sockets": sockets,
        "flooded": FLOODED,
        # A tenth of what a flood writes that nobody slows down: it has to be one.
        "wanted": round(turns * seconds * FLOODED / INTERVAL / 10),
    }


def sum_up(found):
    """Return the figures of the row from those of each layer and server: the worst cost, and what is missing in all."""
    costs = {name: statistics.median(one["flooded"]) - statistics.median(one["plain"]) for name, one in found.items()}
    return {
        "cost_ms": max(costs.values()),
        "costs": "; ".join(f"{name} {cost:+.0f} ms" for name, cost in costs.items()),
        "missing": sum(one["missing"] for one in found.values()),
        "echoes": sum(one["echoes"] for one in found.values()),
        "frames": min(one["frames"] for one in found.values()),
        "turns": found,
    }


def _turns(session, environment, server, sockets, seconds, turns):
    """Return the p99 of each turn in milliseconds, without a flood and beside one, and what was sent and is missing."""
    found = {"plain": [], "flooded": [], "missing": 0, "echoes": 0, "frames": 0}
    with session.stage(**environment) as stage:
        port = stage.serve(server).port
        if not environment:
            stage.work("--threads", "2")
        for _ in range(turns):
            # What the start or the last flood has left to do is none of this turn's.
            _wait_for_answer(port)
            _take(found, "plain", asyncio.run(_echoes(port, sockets, seconds)))
            with flooding(port, "/echo/flood/", FLOODED) as written:
                _take(found, "flooded", asyncio.run(_echoes(port, sockets, seconds)))
            found["frames"] += sum(written)
    return found


def _take(found, kind, delays):
    found["echoes"] += len(delays)
    found["missing"] += delays.count(None)
    # An echo that never came took at least as long as was waited for it.
    found[kind].append(_p99([1000 * PATIENCE if delay is None else 1000 * delay for delay in delays]))


async def _echoes(port, count, seconds):
    """Let each of many sockets speak at its own moments; return the delays of the echoes, None for a missing one."""
    sockets = [await connect(_address(port), compression=None, proxy=None, open_timeout=30) for _ in range(count)]
    begun = time.monotonic() + 0.1
    delays = await asyncio.gather(
        *(_speak(socket, begun + number / count / PACE, seconds * PACE) for number, socket in enumerate(sockets))
    )
    await asyncio.gather(*(socket.close() for socket in sockets))
    return [delay for of_one in delays for delay in of_one]


async def _speak(socket, begun, messages):
    delays = [None] * messages
    with contextlib.suppress(ConnectionClosed, TimeoutError):
        for number in range(messages):
            due = begun + number / PACE
            await asyncio.sleep(due - time.monotonic())
            await socket.send(str(number))
            async with asyncio.timeout(PATIENCE):
                assert await socket.recv() == str(number)
            # From the moment it was due: one that had to wait for the echo before it is late, too.
            delays[number] = time.monotonic() - due
    return delays


def _wait_for_answer(port):
    async def ask():
        async with connect(_address(port), compression=None, proxy=None, open_timeout=60) as socket:
            await socket.send("still there?")
            await asyncio.wait_for(socket.recv(), 60)

    asyncio.run(ask())


def _address(port):
    return f"ws://127.0.0.1:{port}/echo/others/"


def _p99(delays):
    return sorted(delays)[int(0.99 * len(delays))]
