"""Warn of consumers that run too long, with the line they are at."""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class RunningConsumer:
    """A consumer at work: what it is, in which thread, and since when by the monotonic clock."""

    description: str
    thread: int = field(default_factory=threading.get_ident)
    started: float = field(default_factory=time.monotonic)
    warned: bool = False


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
            consumer.description,
            now - consumer.started,
            stack,
        )


def watch(running: Callable[[], Iterable[RunningConsumer | None]], limit: float, stop: threading.Event) -> None:
    """Look at the running consumers until ``stop`` is set, often enough to warn soon after the limit."""
    while not stop.wait(limit / 4):
        warn_of_slow(running(), limit, time.monotonic())
