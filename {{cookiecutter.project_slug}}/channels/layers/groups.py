"""
Keep all groups of a layer that holds them in its own memory.

A group is stored by process queue, so that the work of a broadcast grows with the number of queues, not with
the number of members. An ordinary channel is a queue with itself as its only member.
"""

from __future__ import annotations

from ..names import queue_of


class Groups:
    """Memberships and when they lapse, in the seconds of the layer's clock."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[str, _Members]] = {}

    def add(self, group: str, channel: str, lapses: float) -> None:
        """Let a channel join a group until ``lapses``."""
        members = self._groups.setdefault(group, {}).setdefault(queue_of(channel), _Members())
        members.lapses[channel] = lapses
        members.latest = max(members.latest, lapses)

    def discard(self, group: str, channel: str) -> None:
        """Let a channel leave a group; nothing happens if it is no member."""
        queue = queue_of(channel)
        members = self._groups.get(group, {}).get(queue)
        if members is not None and members.lapses.pop(channel, None) is not None and not members.lapses:
            self._remove(group, queue)

    def discard_queue(self, queue: str) -> None:
        """Let all channels of a queue leave all their groups."""
        for group in [group for group, queues in self._groups.items() if queue in queues]:
            self._remove(group, queue)

    def queues(self, group: str, now: float) -> list[str]:
        """Return the queues that have members in a group."""
        queues = self._groups.get(group, {})
        for queue in [queue for queue, members in queues.items() if members.latest <= now]:
            self._remove(group, queue)
        return list(queues)

    def channels(self, group: str, now: float) -> list[str]:
        """Return the channels in a group."""
        queues = self._groups.get(group, {})
        return [channel for members in queues.values() for channel, lapses in members.lapses.items() if lapses > now]

    def _remove(self, group: str, queue: str) -> None:
        queues = self._groups[group]
        del queues[queue]
        if not queues:
            del self._groups[group]


class _Members:
    __slots__ = ("lapses", "latest")

    def __init__(self) -> None:
        self.lapses: dict[str, float] = {}
        self.latest = 0.0
