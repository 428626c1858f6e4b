"""Memory of processes that have carried many messages, or hold many sockets: S-11, S-12."""

import asyncio
import json

from websockets.asyncio.client import connect

from .processes import resident_size

TALKERS = 20
# Frames that a talker has on their way at any time.
WINDOW = 4


def growth(session):
    """Pass messages through each kind of process; measure their memory at the beginning and at the end (S-11)."""
    redis_from, redis_to = session.size((50_000, 300_000), (2_000, 8_000))
    single_from, single_to = session.size((100_000, 500_000), (2_000, 8_000))
    with session.stage() as stage:
        worker, server = stage.work("--threads", "2"), stage.serve()
        pids = {"interface": server.process.pid, "worker": worker.process.pid}
        found = _pass_messages(server.port, pids, redis_from, redis_to)
    memory = {"CHANNEL_LAYER_URL": "memory://", "WORKER_THREADS": "2"}
    with session.stage(**memory) as stage:
        server = stage.serve()
        found |= _pass_messages(server.port, {"single": server.process.pid}, single_from, single_to)
    counts = {"redis_from": redis_from, "redis_to": redis_to, "single_from": single_from, "single_to": single_to}
    return {**found, **counts}


def _pass_messages(port, pids, first, last):
    """Return the growth of each process in per cent, and its sizes in bytes."""

    async def talk():
        sockets = [await _connect(port, f"/echo/{number}/") for number in range(TALKERS)]
        sizes = []
        for count in (first, last - first):
            await asyncio.gather(*(_echo(socket, count // TALKERS) for socket in sockets))
            await asyncio.sleep(2)
            sizes.append({name: resident_size(pid) for name, pid in pids.items()})
        await asyncio.gather(*(socket.close() for socket in sockets))
        return sizes

    before, after = asyncio.run(talk())
    growths = {f"{name}_growth": 100 * (after[name] / before[name] - 1) for name in pids}
    return {**growths, **{f"{name}_sizes": [before[name], after[name]] for name in pids}}


async def _echo(socket, count):
    on_their_way = 0
    for number in range(count):
        await socket.send(json.dumps({"number": number}))
        on_their_way += 1
        if on_their_way == WINDOW:
            await socket.recv()
            on_their_way -= 1
    for _ in range(on_their_way):
        await socket.recv()


def idle_sockets(session):
    """Open many sockets that stay silent, under both servers a project may choose (S-12)."""
    count = session.size(2_000, 200)
    return {"sockets": count, **{server: _size_per_socket(session, server, count) for server in ("daphne", "uvicorn")}}


def _size_per_socket(session, name, count):
    """Return the KiB that a server holds for one socket."""
    with session.stage() as stage:
        # First started, last stopped: an interface server waits for workers to take its disconnect messages.
        stage.start_workers(2, "--threads", "2")
        server = stage.serve(name)

        async def hold():
            # What is loaded by the first sockets is no part of the others.
            first = [await _connect(server.port, f"/plain/room{number % 100}/") for number in range(100)]
            await asyncio.sleep(2)
            before = resident_size(server.process.pid)
            sockets = [await _connect(server.port, f"/plain/room{number % 100}/") for number in range(count)]
            await asyncio.sleep(2)
            after = resident_size(server.process.pid)
            for start in range(0, len(sockets), 100):
                await asyncio.gather(*(socket.close() for socket in sockets[start : start + 100]))
            await asyncio.gather(*(socket.close() for socket in first))
            return after - before

        return asyncio.run(hold()) / count / 2**10


async def _connect(port, path):
    return await connect(
        f"ws://127.0.0.1:{port}{path}", compression=None, proxy=None, open_timeout=30, ping_interval=None
    )
