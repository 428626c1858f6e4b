"""How long to wait before something is tried again: longer each time, and not all at the same time."""

from __future__ import annotations

import random


class Pauses:
    """Pauses in seconds that double from the first to the longest, each shortened by chance to its half at most."""

    __slots__ = ("_first", "_longest", "_next")

    def __init__(self, first: float, longest: float) -> None:
        self._first = self._next = first
        self._longest = longest

    def next(self) -> float:
        """Return the next pause."""
        pause, self._next = self._next, min(self._next * 2, self._longest)
        return pause * random.uniform(0.5, 1)

    def begin_anew(self) -> None:
        """Begin with the first one again."""
        self._next = self._first
