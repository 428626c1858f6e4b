"""What the map knows of processes: what consumers are to be told of whom, and which messages workers have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..base import Lease, Send, UnderWay
from ..envelope import packed_send
from ..under_way import pack_messages, unpack_messages
from . import groups, leases
from .leases import INTERFACE, WORKER
from .queues import drop_all, push
from .visit import Visit, below, key

# As many bytes of last wills are carried out in one step: what they took before is free only after it.
_WILLS_SIZE = 64 * 1024
_ENDED = "its interface process has ended"


def renew_lease(visit: Visit, queue: str) -> Lease:
    """Say that the process that reads a queue is alive; return what was known of it."""
    if not leases.has_ended(visit, queue):
        return leases.renew(visit, INTERFACE, queue)
    # Connections that were opened meanwhile have left wills: they are to be carried out too.
    if visit.first(below("w", queue)) is not None:
        leases.end_at_once(visit, INTERFACE, queue)
    return Lease.LOST


def end_lease(visit: Visit, queue: str) -> None:
    """Forget a process that has told the end of all its connections itself."""
    leases.set_ended(visit, queue)
    _forget(visit, queue)


def set_wills(visit: Visit, queue: str, wills: Iterable[tuple[str, Send | None]]) -> None:
    """Keep last wills of connections, by their local parts; None to forget one."""
    for local, will in wills:
        if will is None:
            visit.delete(key("w", queue, local))
            continue
        packed = will.name.encode() + b"\n" + packed_send(will, visit.layer.max_message_size)
        visit.require_room(len(packed) + len(queue) + len(local))
        visit.put(key("w", queue, local), packed)


def carry_out_wills(visit: Visit, most: int) -> tuple[str, int] | None:
    """
    Carry out wills of one dead interface process, and forget it when none is left.

    Returns its queue and the number of wills, None where no process has died. They are exempt from capacity: there is
    nobody left to try again.
    """
    queue = leases.look_for_dead(visit, INTERFACE)
    if queue is None:
        return None
    leases.set_ended(visit, queue)
    wills, told, size = visit.keys(below("w", queue), most=most), 0, 0
    while told < len(wills) and size < _WILLS_SIZE:
        channel, _, packed = visit.pop(wills[told]).partition(b"\n")
        push(visit, channel.decode(), packed, exempt=True)
        told, size = told + 1, size + len(packed)
    if told < most and told == len(wills):
        _forget(visit, queue)
    return queue, told


def renew_worker(visit: Visit, worker: str, has: Sequence[UnderWay]) -> None:
    """Say that a worker process is alive, and which messages it has."""
    leases.renew(visit, WORKER, worker, pack_messages(has))


def end_worker(visit: Visit, worker: str) -> None:
    """Forget a worker process that has finished all it had."""
    visit.delete(key(WORKER, worker))


def take_dead_worker(visit: Visit) -> tuple[str, list[UnderWay]] | None:
    """Forget a worker process that has died; return it and the messages it had."""
    worker = leases.look_for_dead(visit, WORKER)
    if worker is None:
        return None
    return worker, unpack_messages(leases.kept_in(visit.pop(key(WORKER, worker))))


def with_workers(visit: Visit) -> set[tuple[str, int | None]]:
    """Return the messages of lanes that living workers have, as reply channel and number."""
    packed = leases.kept_of_living(visit, WORKER)
    return {(message.reply_channel, message.number) for each in packed for message in unpack_messages(each)}


def drop_if_ended(visit: Visit, queue: str) -> bool:
    """Drop what has come for a process that has ended; return whether it has."""
    if not leases.has_ended(visit, queue):
        return False
    drop_all(visit, queue, _ENDED)
    return True


def _forget(visit: Visit, queue: str) -> None:
    groups.leave_all(visit, queue)
    drop_all(visit, queue, _ENDED)
    # Its last wills, and the bell that its reader had left.
    for where in (*visit.keys(below("w", queue)), *visit.keys(below("s", queue))):
        visit.delete(where)
    visit.delete(key(INTERFACE, queue))
