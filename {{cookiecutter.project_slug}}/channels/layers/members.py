"""
Keep the groups of one process queue: which of its channels are in which group.

Both views are kept, so that a broadcast finds its members and a closed channel leaves all its groups at once.
"""

from __future__ import annotations

import math
import sys
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator

from .base import Content, Entry
from .content import copy_message


class GroupMembers:
    """The memberships of the channels of one process queue, by their local parts."""

    def __init__(self) -> None:
        # Dicts for their order: members get a broadcast in the order in which they joined.
        self._members: dict[str, dict[str, None]] = {}
        self._groups: dict[str, set[str]] = {}

    def add(self, group: str, local: str) -> None:
        """Let a channel join a group."""
        self._members.setdefault(group, {})[local] = None
        self._groups.setdefault(local, set()).add(group)

    def discard(self, group: str, local: str) -> None:
        """Let a channel leave a group; nothing happens if it is no member."""
        members = self._members.get(group)
        if members is None or local not in members:
            return
        del members[local]
        if not members:
            del self._members[group]
        self._groups[local].discard(group)
        if not self._groups[local]:
            del self._groups[local]

    def discard_all(self, local: str) -> list[str]:
        """Let a channel leave all its groups, and return their names."""
        groups = sorted(self._groups.get(local, ()))
        for group in groups:
            self.discard(group, local)
        return groups

    def of(self, group: str) -> Collection[str]:
        """Return the members of a group, in the order in which they joined."""
        return self._members.get(group, {}).keys()

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Iterate over all memberships as ``(group, local part)``; they may change meanwhile."""
        for group in list(self._members):
            for local in list(self.of(group)):
                if local in self.of(group):
                    yield group, local


class QueueReader:
    """
    Turns the entries of a process queue into single deliveries, for readers that call ``receive``.

    Interface servers do not need it: they hand a broadcast to their sockets themselves.
    """

    def __init__(self, queue: str, group_expiry: float, clock: Callable[[], float], expiry: float = math.inf) -> None:
        self._queue = queue
        self._group_expiry = group_expiry
        self._clock = clock
        self._expiry = expiry
        self._members = GroupMembers()
        self._lapses: dict[tuple[str, str], float] = {}
        self._deliveries: deque[tuple[float, str, Content]] = deque()

    def feed(self, entries: Iterable[Entry], sent: float | None = None) -> None:
        """Take in entries of the queue, in their order; ``sent`` is when they were, by the clock, or else now."""
        sent = self._clock() if sent is None else sent
        for entry in entries:
            if entry.content is None:
                self._change_membership(entry, sent)
            elif entry.group:
                self._expand(entry.group, entry.content, sent)
            else:
                self._deliveries.append((sent, entry.local, entry.content))

    def take(self) -> tuple[str, Content] | None:
        """Return the next delivery that has not expired as ``(channel, message)``, or None."""
        limit = self._clock() - self._expiry
        while self._deliveries:
            sent, local, content = self._deliveries.popleft()
            if sent > limit:
                return self._queue + local, content
        return None

    def _change_membership(self, entry: Entry, sent: float) -> None:
        if entry.joins:
            self._members.add(entry.group, entry.local)
            self._lapses[entry.group, entry.local] = sent + self._group_expiry
        else:
            self._members.discard(entry.group, entry.local)
            self._lapses.pop((entry.group, entry.local), None)

    def _expand(self, group: str, content: Content, sent: float) -> None:
        for local in list(self._members.of(group)):
            if self._lapses[group, local] > sent:
                # Its size has been checked against the layer's limit when it was sent.
                self._deliveries.append((sent, local, copy_message(content, sys.maxsize)))
            else:
                self._change_membership(Entry(local=local, group=group), sent)
