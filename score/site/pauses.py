"""Write down when the event loop of this process stands still, and for how long."""

import asyncio
import time

# The loop is looked at so often, in seconds.
STEP = 0.002
# Shorter pauses are passed over, in seconds.
SHORTEST = 0.005


def watched(application, path):
    """
    Return an ASGI application whose event loop is watched as soon as it serves.

    Each line of the file is a pause: when it began, by the system's monotonic clock, how long it was, and what of that
    its thread has been at work, in seconds.
    """
    watching = []

    async def watch_and_serve(scope, receive, send):
        if not watching:
            watching.append(asyncio.create_task(_watch(path)))
        await application(scope, receive, send)

    return watch_and_serve


async def _watch(path):
    with open(path, "a", buffering=1) as file:
        while True:
            began, worked = time.monotonic(), time.thread_time()
            await asyncio.sleep(STEP)
            pause = time.monotonic() - began - STEP
            if pause > SHORTEST:
                file.write(f"{began:.6f} {pause:.6f} {time.thread_time() - worked:.6f}\n")
