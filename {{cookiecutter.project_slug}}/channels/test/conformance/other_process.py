"""
Another process that has a layer, for the tests of layers that span processes.

Its argument is a Python literal: the layer's BACKEND and CONFIG, the task, and what that is given. What it finds goes
out as lines of JSON; the first one says that it is ready, and then it waits for a line to begin.
"""

from __future__ import annotations

import ast
import asyncio
import json
import sys
import time
from collections.abc import Callable
from typing import Any

from ...layers.base import BaseChannelLayer
from ...routing import import_target


def write(layer: BaseChannelLayer, channel: str, first: int, count: int) -> None:
    """Send messages with numbers, and wait for room where the channel is full."""
    for number in range(first, first + count):
        while layer.send_many([layer.prepare(channel, {"number": number})]):
            time.sleep(0.001)


def read(layer: BaseChannelLayer, channel: str, silence: float, pause: float = 0.0) -> None:
    """Tell the numbers of a channel's messages, with pauses, until none has come for some seconds."""
    last = time.monotonic()
    while (left := last + silence - time.monotonic()) > 0:
        _, message = layer.receive([channel], block=True, timeout=left)
        if message is not None:
            tell(message["number"])
            time.sleep(pause)
            last = time.monotonic()


def read_queue(layer: BaseChannelLayer, queue: str, count: int) -> None:
    """Tell the numbers of so many messages of a process queue."""

    async def numbers() -> list[int]:
        found: list[int] = []
        while len(found) < count:
            found += [entry.content["number"] for entry in await layer.read_queue(queue) if entry.content is not None]
        return found

    for number in asyncio.run(numbers()):
        tell(number)


def answer(layer: BaseChannelLayer, ping: str, pong: str, rounds: int) -> None:
    """Answer messages of one channel on another."""
    for _ in range(rounds):
        while layer.receive([ping], block=True, timeout=10)[0] is None:
            pass
        layer.send(pong, {})


def wait(layer: BaseChannelLayer, channel: str, seconds: float) -> None:
    """Tell for how many seconds of processor time it has waited for nothing."""
    layer.receive([channel])
    started, deadline = time.process_time(), time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        layer.receive([channel], block=True, timeout=left)
    tell(time.process_time() - started)


TASKS: dict[str, Callable[..., None]] = {task.__name__: task for task in (write, read, read_queue, answer, wait)}


def tell(found: Any) -> None:
    """Write a line, at once."""
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    backend, config, task, arguments = ast.literal_eval(sys.argv[1])
    layer = import_target(backend)(**config)
    tell("ready")
    sys.stdin.readline()
    TASKS[task](layer, *arguments)
