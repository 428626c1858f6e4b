"""Which messages of one socket are with the workers: as many at a time as its lane is wide."""

from __future__ import annotations

import math
from collections.abc import Iterator

# The number of the connect message. What its consumer stores, and asks for, holds for all that follow.
_CONNECT = 0


class Lane:
    """
    The lane of a socket; ``width`` messages may be under way at a time, but its connect message is so alone.

    Times are seconds of one clock. ``keeps_order``: its consumers have asked for the promise of ``enforce_ordering``.
    """

    __slots__ = ("_under_way", "keeps_order", "width")

    def __init__(self, width: int) -> None:
        self.width = width
        self.keeps_order = False
        # By their numbers: the channel of each, and since when it has been there or with a worker; never, on its way.
        self._under_way: dict[int, tuple[str, float]] = {}

    @property
    def has_room(self) -> bool:
        """Whether another message may go under way."""
        return len(self._under_way) < self.width and not self.is_connecting

    @property
    def is_empty(self) -> bool:
        """Whether no message is under way."""
        return not self._under_way

    @property
    def is_connecting(self) -> bool:
        """Whether the connect message is under way."""
        return _CONNECT in self._under_way

    def has(self, number: int) -> bool:
        """Say whether a message is under way."""
        return number in self._under_way

    def begin(self, number: int, channel: str) -> None:
        """Take note that a message is on its way into its channel."""
        self._under_way[number] = (channel, math.inf)

    def arrive(self, number: int, now: float) -> bool:
        """Take note that a message has got into its channel, or is there once more; return whether it is under way."""
        known = self._under_way.get(number)
        if known is not None:
            self._under_way[number] = (known[0], now)
        return known is not None

    def finish(self, number: int) -> str:
        """Take note that a message is under way no more; return its channel, empty if it was not."""
        channel, _ = self._under_way.pop(number, ("", 0.0))
        if not self._under_way:
            # An empty dict keeps its table until it is cleared, and most sockets are idle.
            self._under_way.clear()
        return channel

    def allow(self, width: int | None) -> None:
        """Let so many messages be under way at a time, if anybody says so and it does not keep order."""
        if width is not None and not self.keeps_order:
            self.width = width

    def keep_order(self) -> None:
        """Have one message under way at a time, and the socket closed when one of them is lost."""
        self.keeps_order, self.width = True, 1

    def clear(self) -> None:
        """Wait for nothing any more."""
        self._under_way.clear()

    def overdue(self, now: float, patience: float) -> Iterator[tuple[str, int, float]]:
        """Iterate over what has been under way for so long or longer: channel, number, for how many seconds."""
        for number, (channel, since) in self._under_way.items():
            if now - since >= patience:
                yield channel, number, now - since
