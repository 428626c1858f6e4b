"""One room of many sockets: what a socket and a delivery cost, and how long the server lets others wait meanwhile."""

import asyncio
import os
import resource
import sys

from ..procstat import pss_kib
from .connections import now_ns
from .latencies import longest_us
from .pauses import PauseWatch
from .rooms import Room, speak

# Opened before memory is first read, so that what a server makes once is not counted.
_FIRST_SOCKETS = 20
# What a process has open besides its sockets.
_OTHER_FILES = 100


async def scale(run):
    """Open a room of ``members`` sockets, then speak in it as in a closed loop."""
    count = run.arguments.members
    _require_files(count)
    room = Room(run, f"r{os.getpid()}", count)
    watch = PauseWatch(run.arguments.url.replace("{room}", "watched"), run.arguments.headers)
    await run.connect_all((member, room.url) for member in room.members[:_FIRST_SOCKETS])
    await asyncio.sleep(1)
    before = _memory(run)

    opening = now_ns()
    await run.connect_all((member, room.url) for member in room.members[_FIRST_SOCKETS:])
    opened = now_ns()
    await asyncio.sleep(2)
    after = _memory(run)

    speaking = now_ns()
    measured = await speak(run, [room])
    spoken = now_ns()
    dropped, round_trips = run.dropped, watch.stop()
    await run.close_all()
    others = count - _FIRST_SOCKETS
    return {
        **measured,
        "dropped": dropped,
        "kib_per_socket": round((after - before) / others, 2),
        "connects_per_s": round(others / (opened - opening) * 1e9, 1),
        "connect_pause_us": longest_us(round_trips, opening, opened),
        "pause_us": longest_us(round_trips, speaking, spoken),
    }


def _memory(run):
    """Return the memory of the interface server alone, in KiB."""
    return sum(map(pss_kib, run.arguments.roles["server"]))


def _require_files(count):
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit < count + _OTHER_FILES:
        sys.exit(
            f"A room of {count:,} takes {count + _OTHER_FILES:,} open files of each process, and the system allows "
            f"{limit:,}: raise the hard limit (ulimit -Hn)."
        )
