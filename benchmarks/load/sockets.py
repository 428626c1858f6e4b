"""Sockets as such: opening many, and holding many that do nothing."""

import asyncio
import os

from ..procstat import pss_kib
from .connections import Client, now_ns
from .latencies import percentiles

# Opened before memory is first read, so that what a server makes once is not counted.
_FIRST_SOCKETS = 20


async def storm(run):
    """Open sockets as fast as the server takes them."""
    gate = asyncio.Semaphore(run.arguments.concurrency)
    url = run.arguments.url.replace("{room}", f"storm{os.getpid()}")
    latencies, failures = [], {}

    async def open_one():
        async with gate:
            started = now_ns()
            try:
                await run.connect(Client(run), url)
                latencies.append(now_ns() - started)
            except Exception as error:
                name = type(error).__name__
                failures[name] = failures.get(name, 0) + 1

    window = run.window()
    await asyncio.gather(*(open_one() for _ in range(run.arguments.connections)))
    measured = window.stop()
    await asyncio.sleep(1)
    await run.close_all()
    failed = sum(failures.values())
    return {
        "ops": len(latencies),
        "failed": failed,
        "failures": failures,
        "dropped": run.dropped,
        **measured,
        **percentiles(latencies),
    }


async def idle(run):
    """Open sockets that do nothing: what does each cost in memory, and all together in CPU time?"""

    def memory():
        return {role: sum(map(pss_kib, pids)) for role, pids in run.arguments.roles.items()}

    count, url = run.arguments.connections, run.arguments.url
    await run.connect_all((Client(run), url) for _ in range(_FIRST_SOCKETS))
    await asyncio.sleep(1)
    before = memory()
    await run.connect_all((Client(run), url) for _ in range(count))
    await asyncio.sleep(2)
    after = memory()
    window = run.window()
    await asyncio.sleep(run.arguments.duration)
    measured, dropped = window.stop(), run.dropped
    await run.close_all()
    return {
        "kib_per_socket": round((sum(after.values()) - sum(before.values())) / count, 2),
        "pss_before_kib": before,
        "pss_after_kib": after,
        "dropped": dropped,
        **measured,
    }


async def quiet(run):
    """Do nothing: what does the server do then?"""
    await asyncio.sleep(2)
    window = run.window()
    await asyncio.sleep(run.arguments.duration)
    return window.stop()
