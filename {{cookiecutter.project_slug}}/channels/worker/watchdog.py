"""
Look after running consumers from another thread: warn of those that run too long, with the line they are at, and tell
the channel layer what the process is working on.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..interface.workers import GROUP
from ..layers.base import BaseChannelLayer, UnderWay
from ..message import Message
from ..routing import describe

logger = logging.getLogger(__name__)

# So often, in seconds, unless the layer has an interval of its own.
_INTERVAL = 2.0


@dataclass(slots=True)
class RunningConsumer:
    """A consumer at work on a message, in which thread, and since when by the monotonic clock."""

    consumer: Any
    message: Message
    thread: int = field(default_factory=threading.get_ident)
    started: float = field(default_factory=time.monotonic)
    warned: bool = False

    def __str__(self) -> str:
        return f"{describe(self.consumer)} with {self.message!r}"

    def under_way(self, now: float) -> UnderWay:
        """Return the message as the channel layer is told of it at the time ``now``."""
        message, origin = self.message, self.message.origin
        if origin is not None:
            return UnderWay(message.channel.name, origin.reply_channel, origin.ticket.number, now - self.started)
        reply_channel = message.reply_channel.name if message.reply_channel else ""
        return UnderWay(message.channel.name, reply_channel, None, now - self.started)


def warn_of_slow(running: Iterable[RunningConsumer | None], limit: float, now: float) -> None:
    """Warn once of each consumer that has run for longer than ``limit`` seconds at the time ``now``."""
    for consumer in running:
        if consumer is None or consumer.warned or now - consumer.started < limit:
            continue
        consumer.warned = True
        frame = sys._current_frames().get(consumer.thread)
        stack = "".join(traceback.format_stack(frame)) if frame is not None else "(its thread has ended)\n"
        logger.warning(
            "%s has been running for %.0f s, and its worker does nothing else meanwhile. It is at\n%s",
            consumer,
            now - consumer.started,
            stack,
        )


def watch(running: Callable[[], Iterable[RunningConsumer | None]], limit: float, stop: threading.Event) -> None:
    """Look at the running consumers until ``stop`` is set, often enough to warn soon after the limit."""
    while not stop.wait(limit / 4):
        warn_of_slow(running(), limit, time.monotonic())


def report_running(
    layer: BaseChannelLayer, reads: Sequence[str], has: Callable[[], Sequence[UnderWay]], stop: threading.Event
) -> None:
    """
    Say that this process is alive, until ``stop`` is set.

    The layer is told which messages it has, and interface processes are told which channels it reads.
    """
    worker = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    while True:
        # Of several hosts one may be away: what it knows is not what the others tell.
        _try(layer, "worker lease", lambda: layer.renew_worker(worker, has()))
        _try(layer, "worker announcement", lambda: layer.send_group(GROUP, {"reads": list(reads)}))
        if stop.wait(layer.lease_interval or _INTERVAL):
            break
    try:
        layer.end_worker(worker)
    except Exception as error:
        text = "The channel layer could not be told that this worker process ends, but will notice"
        layer.outage.hinders(error, text)


def _try(layer: BaseChannelLayer, kind: str, action: Callable[[], object]) -> None:
    try:
        action()
        layer.outage.is_over(kind)
    except Exception as error:
        layer.outage.goes_on(error, kind)
