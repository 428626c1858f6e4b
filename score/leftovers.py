"""What sockets leave behind when they have gone: S-13."""

import asyncio
import contextlib
import json
import sqlite3
import time

from websockets.asyncio.client import connect

from .processes import count_threads, open_files, resident_size

EXPIRY = 5
# When all has expired that is to, in seconds: messages, and the figures of single seconds, which come to the store up
# to three seconds late and stay there for eleven.
SETTLED = 16
# Few enough that what they say in a burst stays below the capacity of a channel.
AT_ONCE = 10


def two_rounds(session):
    """Let two equal rounds of sockets come and go; count what there is more than before them (S-13)."""
    if session.layer == "rabbitmq":
        # Its queues vanish by themselves, when nobody has used them for a minute or two.
        return None
    count = session.size(1_000, 200)
    with session.stage(options=f"&expiry={EXPIRY}") as stage:
        workers, server = stage.start_workers(2, "--threads", "2"), stage.serve()
        pids = [process.process.pid for process in (server, *workers)]
        counts = []
        # The first sockets make a process load and open what it then keeps.
        for sockets in (100, count, count):
            asyncio.run(_come_and_go(server.port, sockets))
            time.sleep(SETTLED)
            counts.append(_count(stage, pids))
        names = stage.keys()
    left = {name: counts[2][name] - counts[0][name] for name in ("keys", "files", "threads", "rows")}
    return {"sockets": count, **left, "names": sorted(names)[:20], "counts": counts}


def _count(stage, pids):
    database_file = stage.environment["DATABASE"]
    # Each thread may keep its connection to the database, and SQLite closes files when it sees fit.
    files = [name for pid in pids for name in open_files(pid) if not name.startswith(database_file)]
    with contextlib.closing(sqlite3.connect(database_file)) as database:
        rows = database.execute("SELECT count(*) FROM django_session").fetchone()[0]
    return {
        "keys": len(stage.keys()),
        "files": len(files),
        "threads": sum(map(count_threads, pids)),
        "rows": rows,
        "sizes": list(map(resident_size, pids)),
    }


async def _come_and_go(port, count):
    for start in range(0, count, AT_ONCE):
        await asyncio.gather(*(_visit(port, number) for number in range(start, min(start + AT_ONCE, count))))


async def _visit(port, number):
    """Join a room, say five things in order, hear one of them, and leave."""
    address = f"ws://127.0.0.1:{port}/rooms/room{number % 500}/"
    async with connect(address, compression=None, proxy=None, open_timeout=30) as socket:
        for message in range(5):
            await socket.send(json.dumps({"from": number, "number": message}))
        await socket.recv()
