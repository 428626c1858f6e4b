"""
The groups of the map: which queues have members of a group, and which channels behind a process queue these are.

A broadcast goes once to each of the queues, so what it costs does not grow with the number of members.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...values.names import local_part, queue_of
from ..envelope import pack
from .counts import count_dropped
from .leases import has_ended, has_lease
from .queues import CHANGE, drop_dead, push, push_message
from .visit import TIME, NoRoom, Visit, below, key, parts_of

# For so long, in seconds, a process may not know yet that a member of its has left.
LEFT_LIFE = 60.0


def add(visit: Visit, group: str, channel: str) -> None:
    """Let a channel join a group, and tell the reader of its process queue."""
    queue, local = queue_of(channel), local_part(channel)
    if has_ended(visit, queue):
        return
    leave_if_abandoned(visit, queue)
    _join(visit, group, queue, local)
    if local:
        visit.delete(key("l", queue, group, local))
        _tell(visit, group, channel, joins=True)


def discard(visit: Visit, group: str, channel: str) -> None:
    """Let a channel leave a group, and tell the reader of its process queue."""
    queue, local = queue_of(channel), local_part(channel)
    leave(visit, queue, [(group, local)])
    if local and not has_ended(visit, queue):
        _tell(visit, group, channel, joins=False)


def leave(visit: Visit, queue: str, memberships: Iterable[tuple[str, str]]) -> None:
    """End memberships of channels of a queue."""
    for group, local in memberships:
        if local:
            visit.delete(key("m", group, queue, local))
            visit.put(key("l", queue, group, local), TIME.pack(visit.now))
        if visit.first(below("m", group, queue)) is None:
            _leave(visit, group, queue)


def renew(visit: Visit, queue: str, memberships: Iterable[tuple[str, str]]) -> None:
    """Renew the memberships that an interface process knows."""
    if has_ended(visit, queue):
        return
    for group, local in memberships:
        # It may have said so before it read that the member has left.
        if visit.get(key("l", queue, group, local)) is None:
            _join(visit, group, queue, local)


def leave_all(visit: Visit, queue: str) -> None:
    """Let all channels of a queue leave all their groups."""
    for where in visit.keys(below("r", queue)):
        _leave(visit, parts_of(where)[1], queue)


def leave_if_abandoned(visit: Visit, queue: str) -> bool:
    """
    Drop what has died in a queue, and take it out of its groups if messages have; return whether they had.

    Whoever reads no more has no use for groups. A process with a lease may be late.
    """
    if has_lease(visit, queue) or not drop_dead(visit, queue):
        return False
    leave_all(visit, queue)
    return True


def broadcast(visit: Visit, group: str, packed: bytes) -> None:
    """Send a message to each queue that has members in a group; those that are full miss it."""
    for queue in _queues(visit, group):
        if not leave_if_abandoned(visit, queue) and not push_message(visit, queue, packed):
            count_dropped(visit, queue, "full, group message", accepted=False)


def channels(visit: Visit, group: str) -> list[str]:
    """Return the channels in a group."""
    found = []
    for queue in _queues(visit, group):
        if leave_if_abandoned(visit, queue):
            continue
        if queue.endswith("!"):
            members = visit.items(below("m", group, queue))
            found += [queue + parts_of(where)[2] for where, lapses in members if _unpacked(lapses) > visit.now]
        else:
            found.append(queue)
    return found


def of_queue(visit: Visit, queue: str) -> list[tuple[str, str]]:
    """Return the memberships of a process queue, as group and local part."""
    return [
        (group, parts_of(where)[2])
        for group in [parts_of(where)[1] for where in visit.keys(below("r", queue))]
        for where, lapses in visit.items(below("m", group, queue))
        if _unpacked(lapses) > visit.now
    ]


def end_if_lapsed(visit: Visit, where: bytes, lapses: bytes) -> None:
    """End a membership that nobody has renewed."""
    if _unpacked(lapses) <= visit.now:
        if where.startswith(b"m"):
            visit.delete(where)
        else:
            _leave(visit, *parts_of(where))


def _queues(visit: Visit, group: str) -> list[str]:
    found = visit.items(below("g", group))
    return [parts_of(where)[1] for where, lapses in found if _unpacked(lapses) > visit.now]


def _join(visit: Visit, group: str, queue: str, local: str) -> None:
    lapses = TIME.pack(visit.now + visit.layer.group_expiry)
    visit.require_room(3 * (len(group) + len(queue) + 40) + len(local))
    visit.put(key("g", group, queue), lapses)
    visit.put(key("r", queue, group), b"")
    if local:
        visit.put(key("m", group, queue, local), lapses)


def _leave(visit: Visit, group: str, queue: str) -> None:
    visit.delete(key("g", group, queue))
    visit.delete(key("r", queue, group))
    for where in visit.keys(below("m", group, queue)):
        visit.delete(where)


def _tell(visit: Visit, group: str, channel: str, joins: bool) -> None:
    packed = pack(local_part(channel), group, None, joins, visit.layer.max_message_size)
    if not push(visit, queue_of(channel), packed, CHANGE):
        raise NoRoom


def _unpacked(time: bytes) -> float:
    return float(TIME.unpack(time)[0])
