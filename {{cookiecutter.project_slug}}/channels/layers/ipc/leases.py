"""
The leases of processes: who is alive.

A process that does not renew its lease is dead. When nobody has looked for a while, the whole site was away, or the
machine asleep, and perhaps nobody could renew one: leases begin anew, each once until its process renews it.
"""

from __future__ import annotations

import math
import struct

from ..base import Lease
from .visit import TIME, Visit, key, parts_of

# A process that has not been heard of for so long, in seconds, is dead.
LEASE = 8.0
# When nobody has looked for the dead for so long, in seconds, leases begin anew. Readers look more often.
UNWATCHED = 4.0
# For so long, in seconds, it is known that a process has ended.
ENDED_LIFE = 3600.0
# Processes with a lease, by the first letter of their keys: those that serve connections, and workers.
INTERFACE, WORKER = "p", "k"
# When a lease ends, and whether it has begun anew; what is kept of the process may follow.
_LEASE = struct.Struct(">d?")
_LOOKED = b"t"


def has_lease(visit: Visit, queue: str) -> bool:
    """Say whether an interface process is known that reads a queue."""
    return visit.get(key(INTERFACE, queue)) is not None


def has_ended(visit: Visit, queue: str) -> bool:
    """Say whether the interface process that reads a queue has ended."""
    return visit.get(key("x", queue)) is not None


def renew(visit: Visit, kind: str, name: str, kept: bytes = b"") -> Lease:
    """Say that a process is alive; return whether it was known."""
    known = visit.get(key(kind, name)) is not None
    visit.put(key(kind, name), _LEASE.pack(visit.now + LEASE, False) + kept)
    return Lease.KEPT if known else Lease.NEW


def end_at_once(visit: Visit, kind: str, name: str) -> None:
    """Have whoever looks next find a process dead."""
    visit.put(key(kind, name), _LEASE.pack(-math.inf, True))


def set_ended(visit: Visit, queue: str) -> None:
    """Keep for a while that an interface process has ended: messages for it may still come."""
    visit.put(key("x", queue), TIME.pack(visit.now))


def look_for_dead(visit: Visit, kind: str) -> str | None:
    """Return the name of a process whose lease has ended."""
    looked = visit.time(_LOOKED)
    visit.put(_LOOKED, TIME.pack(visit.now))
    if looked is not None and visit.now - looked > UNWATCHED:
        _begin_anew(visit)
    for where, value in visit.items(kind.encode()):
        if _LEASE.unpack_from(value)[0] <= visit.now:
            return parts_of(where)[0]
    return None


def kept_of_living(visit: Visit, kind: str) -> list[bytes]:
    """Return what is kept of each living process."""
    return [kept_in(value) for _, value in visit.items(kind.encode()) if _LEASE.unpack_from(value)[0] > visit.now]


def kept_in(value: bytes) -> bytes:
    """Return what is kept of a process beside its lease."""
    return value[_LEASE.size :]


def forget_if_long_ended(visit: Visit, where: bytes, ended: bytes) -> None:
    """Forget after a while that a process has ended."""
    if TIME.unpack(ended)[0] + ENDED_LIFE <= visit.now:
        visit.delete(where)


def _begin_anew(visit: Visit) -> None:
    for kind in (INTERFACE, WORKER):
        for where, value in visit.items(kind.encode()):
            if not _LEASE.unpack_from(value)[1]:
                visit.put(where, _LEASE.pack(visit.now + LEASE, True) + kept_in(value))
