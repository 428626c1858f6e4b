"""Read process queues in tests, as interface servers do."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Sequence

from ..layers.base import BaseChannelLayer, Content, Entry
from ..layers.members import GroupMembers


class MemberMessages:
    """The messages in a layer's process queues, as an interface server hands them to the channels behind these."""

    def __init__(self, layer: BaseChannelLayer) -> None:
        self._layer = layer
        self._members: defaultdict[str, GroupMembers] = defaultdict(GroupMembers)

    async def take(self, queue: str) -> list[tuple[str, Content]]:
        """Take what is there: ``(channel, message)`` once for each member."""
        return self.made_of(queue, await entries_there(self._layer, queue))

    def made_of(self, queue: str, entries: Sequence[Entry]) -> list[tuple[str, Content]]:
        """Return what the entries that were read from a queue come to."""
        return [
            (queue + local, entry.content)
            for entry in entries
            for local in self._recipients(queue, entry)
            if entry.content is not None
        ]

    def leave(self, channel: str) -> list[str]:
        """Let a channel behind a process queue leave all its groups here, and return their names."""
        prefix, mark, local = channel.partition("!")
        return self._members[prefix + mark].discard_all(local)

    def _recipients(self, queue: str, entry: Entry) -> Iterator[str]:
        members = self._members[queue]
        if entry.content is None and entry.group:
            (members.add if entry.joins else members.discard)(entry.group, entry.local)
        elif entry.group:
            yield from members.of(entry.group)
        else:
            yield entry.local


async def entries_there(layer: BaseChannelLayer, queue: str) -> list[Entry]:
    """Take the entries of a process queue: all up to one that is put at its end now, and does not count."""
    entries: list[Entry] = []
    while await layer.send_many_async([layer.prepare(f"{queue}end", {})]):
        entries += await layer.read_queue(queue)
    end = Entry("end", content={})
    # Others may have put more behind it meanwhile.
    while end not in entries:
        entries += await read_entries(layer, queue, 1)
    entries.remove(end)
    return entries


async def read_entries(layer: BaseChannelLayer, queue: str, count: int) -> list[Entry]:
    """Read a process queue until some number of entries has come."""
    entries: list[Entry] = []
    while len(entries) < count:
        async with asyncio.timeout(10):
            entries += await layer.read_queue(queue)
    return entries
