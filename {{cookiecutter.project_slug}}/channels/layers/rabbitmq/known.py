"""
Remember which channels this process knows to be in which group.

The broker knows which queues a group leads to, and tells nobody; which sockets are members is known to the process that
has them. So this is what a process has put into groups itself, and what it has read.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...values.names import queue_of

# As many memberships are remembered.
MOST = 100_000


class Known:
    """Memberships and when they lapse, by the layer's clock."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[str, float]] = {}
        # All, those renewed last at the end.
        self._order: dict[tuple[str, str], None] = {}

    def add(self, group: str, channel: str, lapses: float) -> None:
        """Remember a membership, or that it was renewed."""
        self._groups.setdefault(group, {})[channel] = lapses
        self._order.pop((group, channel), None)
        self._order[group, channel] = None
        if len(self._order) > MOST:
            self.discard(*next(iter(self._order)))

    def discard(self, group: str, channel: str) -> None:
        """Forget a membership, if it is known."""
        channels = self._groups.get(group)
        if channels is not None and channels.pop(channel, None) is not None:
            del self._order[group, channel]
            if not channels:
                del self._groups[group]

    def channels(self, group: str) -> dict[str, float]:
        """Return the channels in a group, and when each membership lapses."""
        return self._groups.get(group, {})

    def queues(self, group: str) -> set[str]:
        """Return the queues that have members in a group."""
        return {queue_of(channel) for channel in self.channels(group)}

    def lapsed(self, group: str, now: float) -> Iterable[str]:
        """Return the channels whose membership has lapsed."""
        return [channel for channel, lapses in self.channels(group).items() if lapses <= now]

    def of_queue(self, queue: str) -> list[tuple[str, str, float]]:
        """Return the memberships of the channels of a queue: group, channel, and when each lapses."""
        return [
            (group, channel, lapses)
            for group, channels in self._groups.items()
            for channel, lapses in channels.items()
            if queue_of(channel) == queue
        ]

    def clear(self) -> None:
        """Forget all."""
        self._groups.clear()
        self._order.clear()
