"""
Drop what has lapsed, and nobody else would notice.

Whoever looks goes on where he stopped, a few keys at a time, so that the map is never kept from other work for long.
"""

from __future__ import annotations

from . import counts, groups, leases, queues
from .processes import drop_if_ended
from .visit import TIME, Visit, parts_of

# As many queues, and as many other things, are looked at in one visit.
BATCH = 200


class Sweep:
    """Where one process has got to."""

    def __init__(self) -> None:
        self._after = dict.fromkeys("Qgmxlc", b"")

    def go_on(self, visit: Visit) -> bool:
        """Look at the next few keys of each kind; return whether so many had lapsed that more will have."""
        found_much = False
        for kind, after in self._after.items():
            found = visit.keys(kind.encode(), after, BATCH)
            for where in found:
                self._look_at(visit, kind, where)
            self._after[kind] = found[-1] if len(found) == BATCH else b""
            left = sum(visit.get(where) is not None for where in found)
            found_much = found_much or (len(found) == BATCH and left < BATCH // 2)
        return found_much

    def _look_at(self, visit: Visit, kind: str, where: bytes) -> None:
        value = visit.get(where)
        if value is None:
            # What was looked at before has taken it along.
            return
        if kind == "Q":
            _look_at_queue(visit, parts_of(where)[0])
        elif kind in "gm":
            groups.end_if_lapsed(visit, where, value)
        elif kind == "x":
            leases.forget_if_long_ended(visit, where, value)
        elif kind == "l" and TIME.unpack(value)[0] + groups.LEFT_LIFE <= visit.now:
            visit.delete(where)
        elif kind == "c":
            counts.forget_if_old(visit, where, value, max(visit.layer.expiry, visit.layer.group_expiry))


def _look_at_queue(visit: Visit, queue: str) -> None:
    if not drop_if_ended(visit, queue) and not groups.leave_if_abandoned(visit, queue):
        queues.drop_dead(visit, queue)
