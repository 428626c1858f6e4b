"""
Keep all groups of a layer that holds them in its own memory.

A group is stored by process queue, so that the work of a broadcast grows with the number of queues, not with
the number of members. An ordinary channel is a queue with itself as its only member.
"""

from __future__ import annotations

from itertools import takewhile

from ..values.names import queue_of


class Groups:
    """Memberships and when they lapse, in the seconds of the layer's clock."""

    def __init__(self) -> None:
        # By group and queue: when each channel's membership lapses, the next one first.
        self._groups: dict[str, dict[str, dict[str, float]]] = {}

    def add(self, group: str, channel: str, lapses: float) -> None:
        """Let a channel join a group until ``lapses``, which is never before that of an earlier call."""
        members = self._groups.setdefault(group, {}).setdefault(queue_of(channel), {})
        members.pop(channel, None)
        members[channel] = lapses

    def discard(self, group: str, channel: str) -> None:
        """Let a channel leave a group; nothing happens if it is no member."""
        queue = queue_of(channel)
        members = self._groups.get(group, {}).get(queue)
        if members is not None and members.pop(channel, None) is not None and not members:
            self._remove(group, queue)

    def discard_queue(self, queue: str) -> None:
        """Let all channels of a queue leave all their groups."""
        for group in [group for group, queues in self._groups.items() if queue in queues]:
            self._remove(group, queue)

    def queues(self, group: str, now: float) -> list[str]:
        """Return the queues that have members in a group."""
        self.sweep(group, now)
        return list(self._groups.get(group, ()))

    def channels(self, group: str, now: float) -> list[str]:
        """Return the channels in a group."""
        self.sweep(group, now)
        return [channel for members in self._groups.get(group, {}).values() for channel in members]

    def names(self) -> list[str]:
        """Return the names of all groups."""
        return list(self._groups)

    def sweep(self, group: str, now: float) -> None:
        """Forget the memberships of a group that have lapsed."""
        for queue, members in list(self._groups.get(group, {}).items()):
            for channel, _ in list(takewhile(lambda member: member[1] <= now, members.items())):
                del members[channel]
            if not members:
                self._remove(group, queue)

    def _remove(self, group: str, queue: str) -> None:
        queues = self._groups[group]
        del queues[queue]
        if not queues:
            del self._groups[group]
