"""
How long does an interface server let a client wait? A socket that is pinged all the time, by a process of its own.

The server's event loop answers pings itself, without a worker or a broker: what a pong comes late by is a pause of the
loop, or work that the system has put before it.
"""

import asyncio
import multiprocessing

import uvloop
from picows import WSListener, ws_connect

from .connections import now_ns

# Between a pong and the next ping, in seconds.
_INTERVAL = 0.005
_PROCESSES = multiprocessing.get_context("spawn")


class PauseWatch:
    """A process that pings from now on until ``stop()``."""

    def __init__(self, url, headers):
        self._pipe, other_end = _PROCESSES.Pipe()
        self._process = _PROCESSES.Process(target=_run, args=(url, headers, other_end), daemon=True)
        self._process.start()
        other_end.close()
        # It says that its socket is open.
        self._pipe.recv()

    def stop(self):
        """End it, and return its round trips: when each began, by our clock, and how long it took, in nanoseconds."""
        self._pipe.send("stop")
        round_trips = self._pipe.recv()
        self._process.join()
        return round_trips


def _run(url, headers, pipe):
    uvloop.run(_ping(url, headers, pipe))


async def _ping(url, headers, pipe):
    transport, _ = await ws_connect(WSListener, url, extra_headers=headers, max_redirects=0)
    pipe.send("open")
    round_trips = []
    while not pipe.poll():
        began = now_ns()
        [seconds] = await transport.measure_roundtrip_time(1)
        round_trips.append((began, round(seconds * 1e9)))
        await asyncio.sleep(_INTERVAL)
    pipe.send(round_trips)
    transport.send_close()
    transport.disconnect()
