"""An interface process with much to deliver at once: S-33."""

import asyncio
import time
from pathlib import Path

from .crowd import gather, hear
from .processes import processor_seconds


def deliver_bursts(session):
    """Send a hundred broadcasts at once to a group of 4,000 sockets, under both servers a project may choose (S-33)."""
    members, broadcasts = session.size((4_000, 100), (500, 100))
    found = {"members": members, "broadcasts": broadcasts}
    for server in ("uvicorn", "daphne"):
        figures = _deliver(session, server, members, broadcasts)
        found |= {f"{server}_{name}": figure for name, figure in figures.items()}
    return found


def _deliver(session, server, members, broadcasts):
    with session.stage() as stage:
        # First started, last stopped: an interface server waits for workers to take its disconnect messages.
        stage.start_workers(2, "--threads", "2")
        pauses = stage.environment["PAUSES"] = str(stage.folder / "pauses")
        process = stage.serve(server)
        layer = stage.layer()
        batch = [layer.prepare("hall", {"text": str(number)}, to_group=True) for number in range(broadcasts)]

        async def deliver():
            crowd = await gather(process.port, "/plain/hall/", members)
            # What the opening has left to do.
            await asyncio.sleep(3)
            began, before = time.monotonic(), processor_seconds(process.process.pid)
            layer.send_many(batch)
            await hear(crowd, broadcasts, patience=60)
            ended, used = time.monotonic(), processor_seconds(process.process.pid) - before
            # A pause is written down at its end.
            await asyncio.sleep(1)
            closed = sum(member.is_closed for member in crowd)
            incomplete = sum(member.got != list(range(broadcasts)) for member in crowd)
            for member in crowd:
                member.leave()
            return began, ended, used, closed, incomplete

        began, ended, used, closed, incomplete = asyncio.run(deliver())
        pause, work = longest_pause(Path(pauses).read_text(), began, ended)
    return {
        "pause": pause,
        "work": work,
        "closed": closed,
        "incomplete": incomplete,
        "seconds": round(ended - began, 1),
        "processor_seconds": round(used, 1),
    }


def longest_pause(lines, began, ended):
    """
    Return the longest pause in some time, and the most work in one, both in milliseconds.

    What of a pause was no work of its thread was for the other processes of the machine.
    """
    pauses = [tuple(map(float, line.split())) for line in lines.splitlines()]
    # The first one may have begun shortly before.
    during = [pause[1:] for pause in pauses if pause[0] + pause[1] > began and pause[0] < ended]
    return tuple(round(1000 * max(seconds), 1) for seconds in zip((0.0, 0.0), *during, strict=True))
