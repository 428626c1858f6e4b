"""Interface servers that are stopped and killed, and how long a stop takes: S-17, S-18, S-26."""

import asyncio
import collections
import contextlib
import signal
import time

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

PATIENCE = 60
KILL_PATIENCE = 15


def stop_interface(session):
    """Stop an interface server with open sockets; count close codes and disconnect consumers (S-17)."""
    count = session.size(500, 50)
    with session.stage() as stage:
        stage.start_workers(2, "--threads", "2")
        server = stage.serve()
        codes, status, seconds = asyncio.run(_stop_with_sockets(server, count))
        _wait(lambda: len(stage.ends()) >= count, KILL_PATIENCE)
        return {
            "sockets": count,
            "closed_1012": codes[1012],
            "codes": {str(code): number for code, number in codes.items()},
            **_count_ends(stage, count),
            "status": status,
            "stop_seconds": round(seconds, 2),
        }


def kill_interface(session):
    """Kill an interface server; every disconnect consumer runs once (S-18)."""
    count = session.size(200, 50)
    with session.stage() as stage:
        stage.start_workers(2, "--threads", "2")
        server = stage.serve()

        async def kill():
            sockets = await _open(server, count)
            server.process.kill()
            begun = time.monotonic()
            await asyncio.to_thread(_wait, lambda: len(stage.ends()) >= count, 2 * KILL_PATIENCE)
            seconds = time.monotonic() - begun
            for socket in sockets:
                socket.transport.abort()
            return seconds

        seconds = asyncio.run(kill())
        # One that runs twice would do so soon.
        time.sleep(5)
        return {"sockets": count, **_count_ends(stage, count), "seconds_to_last": round(seconds, 1)}


def stop_times(session):
    """Stop an idle worker three times, and an interface server with open sockets (S-26)."""
    count = session.size(500, 50)
    with session.stage() as stage:
        worker_stops = [_stop_idle(stage.work()) for _ in range(3)]
        stage.start_workers(2, "--threads", "2")
        server = stage.serve()
        _, status, seconds = asyncio.run(_stop_with_sockets(server, count))
    return {
        "sockets": count,
        "worker_seconds": round(max(seconds for seconds, _ in worker_stops), 2),
        "failed_workers": sum(worker_status != 0 for _, worker_status in worker_stops),
        "interface_seconds": round(seconds, 2),
        "status": status,
    }


async def _open(server, count):
    sockets = []
    for number in range(count):
        address = f"ws://127.0.0.1:{server.port}/plain/room{number % 3}/"
        sockets.append(await connect(address, compression=None, proxy=None, open_timeout=30, ping_interval=None))
    return sockets


async def _stop_with_sockets(server, count):
    """Return the close codes the clients got, the exit status, and the time the stop took."""
    sockets = await _open(server, count)
    closing = asyncio.gather(*map(_close_code, sockets))
    begun = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    status = await asyncio.to_thread(server.process.wait, PATIENCE)
    seconds = time.monotonic() - begun
    return collections.Counter(await closing), status, seconds


async def _close_code(socket):
    with contextlib.suppress(ConnectionClosed):
        while True:
            await socket.recv()
    return socket.protocol.close_rcvd and socket.protocol.close_rcvd.code


def _stop_idle(process):
    """Return how long a stop takes, and the exit status."""
    # A worker that has just started is not idle yet.
    time.sleep(1)
    begun = time.monotonic()
    status = process.stop()
    return time.monotonic() - begun, status


def _count_ends(stage, expected):
    times = collections.Counter(channel for channel, _ in stage.ends())
    return {"disconnects": len(times), "missing": expected - len(times), "doubled": sum(n > 1 for n in times.values())}


def _wait(condition, patience):
    deadline = time.monotonic() + patience
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
