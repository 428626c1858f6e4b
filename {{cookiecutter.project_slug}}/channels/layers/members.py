"""
Keep the groups of one process queue: which of its channels are in which group.

Both views are kept, so that a broadcast finds its members and a closed channel leaves all its groups at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator


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
