"""
The queues of the map, one for each channel, and one for all the channels behind a process queue; and who waits at them.

An entry is its kind, the time of its death, and what ``layers.envelope`` has packed. Changes of memberships share the
queue with messages, so that their order holds; they live as long as the membership, and do not count as messages.
Entries are numbered. A queue that is empty leaves nothing in the map.

A reader that finds nothing leaves its bell at its queues in the same visit, so whoever puts something there later finds
it. Each bell at a queue is rung once, and one for each message: it is taken away as it is found.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from typing import NamedTuple

from ...values.names import prefix_of
from .counts import count, count_dropped
from .visit import Visit, below, key, parts_of

MESSAGE, CHANGE = b"m", b"c"
_HEAD = struct.Struct(">cd")
_NUMBER = struct.Struct(">Q")
_QUEUE = struct.Struct(">QQQd")


class _Queue(NamedTuple):
    first: int = 0
    next: int = 0
    messages: int = 0
    # Before this, nothing in it dies.
    dies: float = math.inf


class Popped(NamedTuple):
    """An entry that was taken out of its queue."""

    kind: bytes
    death: float
    packed: bytes


def push(visit: Visit, queue: str, packed: bytes, kind: bytes = MESSAGE, exempt: bool = False) -> bool:
    """
    Put an entry at the end of a queue, and wake a reader; return False where the map has no room for it.

    One that is ``exempt`` takes the room that is kept for other things than messages.
    """
    if not visit.take_room(len(packed) + len(queue), kind == MESSAGE and not exempt) and not exempt:
        return False
    layer = visit.layer
    life = layer.expiry if kind == MESSAGE else layer.group_expiry + layer.expiry
    first, following, messages, dies = _load(visit, queue)
    death = visit.now + life
    visit.put(below("e", queue) + _NUMBER.pack(following), _HEAD.pack(kind, death) + packed)
    _save(visit, queue, _Queue(first, following + 1, messages + (kind == MESSAGE), min(dies, death)))
    if kind == MESSAGE:
        count(visit, queue, sent=1)
    wake_one(visit, queue)
    return True


def push_message(visit: Visit, queue: str, packed: bytes) -> bool:
    """Put a message into a queue unless that is full, which is counted."""
    capacity = visit.layer.get_capacity(queue)
    has_room = count_messages(visit, queue) < capacity or (
        drop_dead(visit, queue) > 0 and count_messages(visit, queue) < capacity
    )
    if not has_room or not push(visit, queue, packed):
        count(visit, queue, full=1)
        return False
    return True


def pop(visit: Visit, queue: str) -> Popped | None:
    """Take the first entry out of a queue."""
    found = _load(visit, queue)
    if found.next == 0:
        return None
    start, (number, end, messages, dies) = below("e", queue), found
    while number < end:
        value = visit.pop(start + _NUMBER.pack(number))
        number += 1
        if value is not None:
            kind, death = _HEAD.unpack_from(value)
            _save(visit, queue, _Queue(number, end, messages - (kind == MESSAGE), dies))
            return Popped(kind, death, value[_HEAD.size :])
    _save(visit, queue, _Queue(number, end))
    return None


def count_messages(visit: Visit, queue: str) -> int:
    """Return how many messages a queue holds, those that have died but were not dropped yet included."""
    return _load(visit, queue).messages


def holds_something(visit: Visit, queue: str) -> bool:
    """Say whether there is an entry in a queue."""
    return visit.get(key("Q", queue)) is not None


def drop_dead(visit: Visit, queue: str) -> int:
    """Drop entries that have died; return how many messages these were."""
    first, end, messages, dies = _load(visit, queue)
    if dies > visit.now:
        return 0
    start, dropped, living = below("e", queue), 0, {MESSAGE: math.inf, CHANGE: math.inf}
    for number in range(first, end):
        where = start + _NUMBER.pack(number)
        value = visit.get(where)
        if value is None:
            continue
        kind, death = _HEAD.unpack_from(value)
        if death <= visit.now:
            visit.delete(where)
            dropped += kind == MESSAGE
        elif death < living[kind]:
            # Those of one kind die in their order.
            living[kind] = death
            if math.inf not in living.values():
                break
    is_empty = all(death == math.inf for death in living.values())
    _save(visit, queue, _Queue(end if is_empty else first, end, messages - dropped, min(living.values())))
    if dropped:
        count_dropped(visit, queue, "expired", dropped)
    return dropped


def age(visit: Visit, queue: str) -> float | None:
    """Return for how long the oldest message of a queue has waited, None where none does."""
    drop_dead(visit, queue)
    first, end, messages, _ = _load(visit, queue)
    for number in range(first, end if messages else first):
        value = visit.get(below("e", queue) + _NUMBER.pack(number))
        if value is not None and value.startswith(MESSAGE):
            return float(visit.layer.expiry - (_HEAD.unpack_from(value)[1] - visit.now))
    return None


def drop_all(visit: Visit, queue: str, reason: str) -> None:
    """Drop all that a queue holds."""
    if messages := count_messages(visit, queue):
        count_dropped(visit, queue, reason, messages)
    for where in visit.keys(below("e", queue)):
        visit.delete(where)
    visit.delete(key("Q", queue))


def waiting_in(visit: Visit, queue: str) -> tuple[dict[str, int], float]:
    """Return how many messages wait in a queue, by the name they are counted by, and for how long the oldest has."""
    oldest = age(visit, queue)
    return {prefix_of(queue): count_messages(visit, queue)}, oldest or 0.0


def leave_bell(visit: Visit, queues: Iterable[str], bell: str) -> None:
    """Leave a bell at some queues."""
    for queue in queues:
        visit.put(key("s", queue, bell), b"")


def take_bell_back(visit: Visit, queues: Iterable[str], bell: str) -> list[str]:
    """Take a bell away from its queues; return those at which it was rung."""
    return [queue for queue in queues if not visit.delete(key("s", queue, bell))]


def wake_one(visit: Visit, queue: str) -> None:
    """Have the first reader that waits at a queue woken when this visit is over."""
    if bell := take_first_bell(visit, queue):
        visit.to_wake.append((queue, bell))


def take_first_bell(visit: Visit, queue: str) -> str | None:
    """Take the first bell away from a queue."""
    where = visit.first(below("s", queue))
    if where is None:
        return None
    visit.delete(where)
    return parts_of(where)[1]


def _load(visit: Visit, queue: str) -> _Queue:
    value = visit.get(key("Q", queue))
    return _Queue(*_QUEUE.unpack(value)) if value else _Queue()


def _save(visit: Visit, queue: str, found: _Queue) -> None:
    if found.first < found.next:
        visit.put(key("Q", queue), _QUEUE.pack(*found))
    else:
        visit.delete(key("Q", queue))
