"""
Who waits for something to read.

A reader that finds nothing leaves its bell at its queues in the same visit, so whoever puts something there later finds
it. Each bell at a queue is rung once, and one for each message: it is taken away as it is found.
"""

from __future__ import annotations

from collections.abc import Iterable

from .visit import Visit, below, key, parts_of


def wait(visit: Visit, queues: Iterable[str], bell: str) -> None:
    """Leave a bell at some queues."""
    for queue in queues:
        visit.put(key("s", queue, bell), b"")


def retire(visit: Visit, queues: Iterable[str], bell: str) -> list[str]:
    """Take a bell away from its queues; return those at which it was rung."""
    return [queue for queue in queues if not visit.delete(key("s", queue, bell))]


def wake_one(visit: Visit, queue: str) -> None:
    """Have the first reader that waits at a queue woken when this visit is over."""
    if bell := take_one(visit, queue):
        visit.to_wake.append((queue, bell))


def take_one(visit: Visit, queue: str) -> str | None:
    """Take the first bell away from a queue."""
    where = visit.first(below("s", queue))
    if where is None:
        return None
    visit.delete(where)
    return parts_of(where)[1]
