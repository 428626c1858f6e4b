"""
Let a worker thread do something later, between two messages.

A worker waits for messages no longer than until its next deadline, and then calls what is due, in its own
thread: no timer threads, and no two things at once. An action may return messages that have waited elsewhere: the
worker handles them as if it had received them.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

logger = logging.getLogger(__name__)


class Waiting(NamedTuple):
    """A message of a channel that has waited on another one, where it counts as unfinished until it is handled."""

    channel: str
    content: dict[str, Any]
    waited_on: str


Action = Callable[[], Iterable[Waiting] | None]

_sequence = itertools.count()


class _Deadlines(threading.local):
    def __init__(self) -> None:
        self.heap: list[tuple[float, int, Action]] = []


_own = _Deadlines()


def call_later(seconds: float, action: Action) -> None:
    """Have the worker of this thread call ``action`` after some seconds."""
    heapq.heappush(_own.heap, (time.monotonic() + seconds, next(_sequence), action))


def seconds_left() -> float | None:
    """Return the time until the next deadline of this thread, None if there is none."""
    return max(0.0, _own.heap[0][0] - time.monotonic()) if _own.heap else None


def run_due(now: float | None = None) -> list[Waiting]:
    """
    Call what is due in this thread at ``now``, in the seconds of the monotonic clock; return the messages it returns.

    What fails is logged.
    """
    if not _own.heap:
        return []
    now = time.monotonic() if now is None else now
    due: list[Action] = []
    messages: list[Waiting] = []
    while _own.heap and _own.heap[0][0] <= now:
        due.append(heapq.heappop(_own.heap)[2])
    for action in due:
        try:
            messages += action() or ()
        except Exception:
            logger.exception("What was put off until now has failed: %r", action)
    return messages
