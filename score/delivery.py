"""Delivery in normal operation, near the top rate: S-05."""

import asyncio
import json
import time

from websockets.asyncio.client import connect

from .visitors import Visitors

ROOMS, PER_ROOM = 10, 10
SHARE = 0.8


def deliver(session):
    """Speak at 80 % of the top rate, which is measured just before, and count what arrives (S-05)."""
    sends = session.size(50_000, 2_000)
    # On a site of its own: what is dropped there is none of the visitors' messages.
    with session.stage() as stage:
        top = asyncio.run(_top_rate(_start(stage).port, session.size(10, 3)))
    with session.stage() as stage:
        visitors = Visitors(_start(stage).port, ROOMS, PER_ROOM)
        # On a slow machine fewer are sent, so that the row ends in time.
        seconds = min(sends / (SHARE * top), 240)
        asyncio.run(visitors.visit(SHARE * top, meanwhile=lambda: time.sleep(seconds)))
        session.account("delivery", stage, visitors)
    due = visitors.count_sent() * PER_ROOM
    undelivered = visitors.count_missing() / due if due else 1
    shares = {"undelivered_share": undelivered, "delivered_percent": 100 * (1 - undelivered)}
    return {**visitors.figures(), **shares, "top_rate": round(top, 1), "due": due, "wanted": sends // 10}


def _start(stage):
    server = stage.serve()
    stage.start_workers(2, "--threads", "2")
    return server


async def _top_rate(port, seconds):
    """Return how many messages per second pass when every socket speaks as soon as it has heard itself."""
    sockets = [
        await connect(f"ws://127.0.0.1:{port}/plain/room{number % ROOMS}/", compression=None, proxy=None)
        for number in range(ROOMS * PER_ROOM)
    ]
    until = time.monotonic() + seconds
    counts = await asyncio.gather(*(_talk(socket, number, until) for number, socket in enumerate(sockets)))
    await asyncio.gather(*(socket.close() for socket in sockets))
    return sum(counts) / seconds


async def _talk(socket, own, until):
    count = 0
    while time.monotonic() < until:
        await socket.send(json.dumps({"from": own, "number": count}))
        while (heard := json.loads(await socket.recv()))["from"] != own or heard["number"] != count:
            pass
        count += 1
    return count
