"""Remember what has been read, so that nothing is taken twice."""

from __future__ import annotations

import threading


class Memory:
    """The ids of entries that a reader has taken, each for ``seconds``; for any number of threads."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._taken: dict[bytes, float] = {}

    def is_empty(self, now: float) -> bool:
        """Say whether nothing is remembered any more."""
        with self._lock:
            self._forget(now)
            return not self._taken

    def knows(self, identity: bytes) -> bool:
        """Say whether an id is remembered."""
        return identity in self._taken

    def is_new(self, identity: bytes, now: float) -> bool:
        """Remember an id; return False if it is known already."""
        with self._lock:
            self._forget(now)
            if identity in self._taken:
                return False
            self._taken[identity] = now
            return True

    def _forget(self, now: float) -> None:
        while self._taken and (oldest := next(iter(self._taken))) and self._taken[oldest] < now - self._seconds:
            del self._taken[oldest]
