"""
Let a worker thread do something later, between two messages.

A worker waits for messages no longer than until its next deadline, and then calls what is due, in its own
thread: no timer threads, and no two things at once. An action may take a message that has waited elsewhere: the worker
handles it as if it had received it, before it calls the next action. So it never has more than one in hand.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from .contexts import new_context

logger = logging.getLogger(__name__)


class Waiting(NamedTuple):
    """A message of a channel that has waited on another one, where it counts as unfinished until it is handled."""

    channel: str
    content: dict[str, Any]
    waited_on: str


Action = Callable[[], Waiting | None]

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


def is_due(now: float) -> bool:
    """Say whether something in this thread is due at ``now``, in the seconds of the monotonic clock."""
    return bool(_own.heap) and _own.heap[0][0] <= now


def run_next() -> Waiting | None:
    """Call what comes next in this thread, in a context of its own, and return its message. That it fails is logged."""
    action = heapq.heappop(_own.heap)[2]
    return new_context().run(_call, action)


def _call(action: Action) -> Waiting | None:
    try:
        return action()
    except Exception:
        logger.exception("What was put off until now has failed: %r", action)
        return None
