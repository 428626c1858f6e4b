"""
Stamp what is sent with a time that follows its causes.

A process queue is two queues of the broker: one for messages, whose number is limited, and one for changes of
memberships, which count as nothing. Their reader puts both in order by these stamps. A stamp is the time of day in
microseconds, but never before anything that its process has sent or received already (a hybrid logical clock): so who
sends something since it has received something comes later, although the clocks of two machines differ.
"""

from __future__ import annotations

import struct
import time

_HEAD = struct.Struct(">Q")
# A clock that is further ahead than that, in seconds, is wrong: nobody follows it.
_FURTHEST = 60.0


class Stamps:
    """The stamps of one process; for its I/O thread alone."""

    def __init__(self) -> None:
        self._last = 0

    def put_on(self, packed: bytes) -> bytes:
        """Return what is to be sent, with a stamp in front."""
        self._last = max(self._last + 1, _now())
        return _HEAD.pack(self._last) + packed

    def take_off(self, body: bytes) -> tuple[int, bytes]:
        """Return the stamp of what has come, and the rest."""
        if len(body) < _HEAD.size:
            return 0, b""
        stamp: int = _HEAD.unpack_from(body)[0]
        if self._last < stamp < _now() + int(_FURTHEST * 1_000_000):
            self._last = stamp
        return stamp, body[_HEAD.size :]


def age_of(stamp: int) -> float:
    """Return how many seconds ago something was stamped, as far as the clocks of two machines agree."""
    return max(0.0, (_now() - stamp) / 1_000_000)


def _now() -> int:
    return time.time_ns() // 1000
