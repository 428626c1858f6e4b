"""
Count what passes through the map, in the step in which it happens.

What was sent, and neither waits nor was dropped nor is finished, is with a worker, or was lost with one that was
killed. The messages of the last seconds stand in a ring, which tells the rate.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ...values.names import prefix_of
from ..statistics import WINDOW
from .visit import Dropped, Visit, below, key, parts_of

_SECONDS = int(WINDOW)
# Sent, done, gone and full; when a reader last took one, and when anything was last counted; the second that runs, and
# by seconds the messages sent and those that found a full channel.
_COUNTS = struct.Struct(f">4Q2dQ{_SECONDS}I{_SECONDS}I")
_NONE = [*[0] * 4, 0.0, 0.0, *[0] * (1 + 2 * _SECONDS)]
_SENT, _DONE, _GONE, _FULL, _READ, _CHANGED, _SECOND, _RING = range(8)
_NUMBER = struct.Struct(">Q")
_REASONS = "d"
_OF_NAME = "c"


def count(visit: Visit, queue: str, sent: int = 0, done: int = 0, gone: int = 0, full: int = 0, read: int = 0) -> None:
    """Count messages of a queue: those that were accepted, finished, lost, refused, and taken by a reader."""
    counted = visit.counted.setdefault(prefix_of(queue), [0, 0, 0, 0, 0])
    counted[_SENT] += sent
    counted[_DONE] += done
    counted[_GONE] += gone
    counted[_FULL] += full
    counted[_READ] += read


def count_dropped(
    visit: Visit,
    queue: str,
    reason: str,
    number: int = 1,
    accepted: bool = True,
    warns: bool = True,
    advice: str = "",
) -> None:
    """Count messages that reached nobody; ``accepted`` ones had been counted as sent."""
    if accepted:
        count(visit, queue, gone=number)
    where = key(_REASONS, prefix_of(queue), reason)
    before = visit.get(where)
    visit.put(where, _NUMBER.pack(number + (_NUMBER.unpack(before)[0] if before else 0)))
    if warns:
        visit.dropped.append(Dropped(queue, reason, advice, number))


def save(visit: Visit) -> None:
    """Write what this visit has counted."""
    for name, counted in visit.counted.items():
        where = key(_OF_NAME, name)
        numbers = _loaded(visit.get(where))
        for index in range(_READ):
            numbers[index] += counted[index]
        if counted[_READ]:
            numbers[_READ] = visit.now
        numbers[_CHANGED] = visit.now
        if counted[_SENT] or counted[_FULL]:
            second = _turned(numbers, visit.now) % _SECONDS
            numbers[_RING + second] += counted[_SENT]
            numbers[_RING + _SECONDS + second] += counted[_FULL]
        visit.put(where, _COUNTS.pack(*numbers))


def forget_if_old(visit: Visit, where: bytes, value: bytes, life: float) -> None:
    """Forget counts to which nothing was added for so many seconds."""
    if _COUNTS.unpack(value)[_CHANGED] + life <= visit.now:
        for reason in visit.keys(below(_REASONS, *parts_of(where))):
            visit.delete(reason)
        visit.delete(where)


def names(visit: Visit) -> list[str]:
    """Return the names that anything is counted by."""
    return [parts_of(where)[0] for where in visit.keys(_OF_NAME.encode())]


def statistics(visit: Visit, counted: Iterable[str], waiting: Mapping[str, int], age: float) -> dict[str, Any]:
    """Return the figures of some names, of which so many messages wait, the oldest for ``age`` seconds."""
    save(visit)
    visit.counted.clear()
    dropped: Counter[str] = Counter()
    sums, unfinished, last = list(_NONE), 0, 0.0
    for name in counted:
        numbers = _loaded(visit.get(key(_OF_NAME, name)))
        _turned(numbers, visit.now)
        last = max(last, numbers[_READ])
        sums = [one + other for one, other in zip(sums, numbers, strict=True)]
        for where, number in visit.items(below(_REASONS, name)):
            dropped[parts_of(where)[1]] += _NUMBER.unpack(number)[0]
        if not name.endswith("!"):
            # Replies are soon read, and by no worker.
            unfinished += max(0, numbers[_SENT] - numbers[_DONE] - numbers[_GONE] - waiting.get(name, 0))
    return {
        "messages_count": sums[_SENT],
        "messages_count_per_second": sum(sums[_RING : _RING + _SECONDS]) / WINDOW,
        "messages_received": sums[_DONE],
        "messages_unfinished": unfinished,
        "messages_pending": sum(waiting.values()),
        "messages_max_age": age,
        "seconds_since_received": max(0.0, visit.now - last) if last else None,
        "channel_full_count": sums[_FULL],
        "channel_full_count_per_second": sum(sums[_RING + _SECONDS :]) / WINDOW,
        "dropped": dict(dropped),
    }


def _loaded(value: bytes | None) -> list[Any]:
    return list(_COUNTS.unpack(value)) if value else list(_NONE)


def _turned(numbers: list[Any], now: float) -> int:
    """Turn the ring to the second that runs, and return that."""
    second, before = int(now), numbers[_SECOND]
    for passed in range(before + 1, min(second, before + _SECONDS) + 1):
        numbers[_RING + passed % _SECONDS] = numbers[_RING + _SECONDS + passed % _SECONDS] = 0
    numbers[_SECOND] = max(second, before)
    return int(numbers[_SECOND])
