"""
Put channels into groups and take them out.

A group is a routing key that leads to queues: those of ordinary channels, and process queues, whose readers are told
which of their sockets are in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ...exceptions import ChannelLayerUnavailable
from ...values.names import local_part, queue_of
from ..base import Entry
from ..envelope import pack
from .known import Known
from .publisher import Outcome

if TYPE_CHECKING:
    from .core import Core


class Memberships:
    """The groups as one process knows and changes them; for the I/O thread alone."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.known = Known()

    async def add(self, group: str, channel: str) -> None:
        """Have a group lead to a channel."""
        core = self._core
        await core.publishing.ready()
        if local_part(channel):
            # The word first: it lies in front of all messages that come by the membership.
            await asyncio.gather(self._tell(group, channel, joins=True), self._bind(queue_of(channel), group))
        else:
            await self._bind(channel, group)
        self.known.add(group, channel, self._lapses())

    async def discard(self, group: str, channel: str) -> None:
        """Have a group lead to a channel no longer."""
        await self._core.publishing.ready()
        self.known.discard(group, channel)
        if local_part(channel):
            await self._tell(group, channel, joins=False)
        else:
            await self._unbind(channel, group)

    async def leave(self, queue: str, memberships: Iterable[tuple[str, str]]) -> None:
        """Take closed sockets out of their groups: a group without one leads to their queue no longer."""
        await self._core.publishing.ready()
        left = dict.fromkeys(group for group, _ in memberships)
        for group, local in memberships:
            self.known.discard(group, queue + local)
        for group in left:
            if queue not in self.known.queues(group):
                await self._unbind(queue, group)

    async def renew(self, queue: str, memberships: Iterable[tuple[str, str]]) -> None:
        """Renew the memberships of living sockets; if the broker has lost them, they are there again."""
        await self._core.publishing.ready()
        bound = self._core.process_queue(queue).bound
        for group, local in memberships:
            self.known.add(group, queue + local, self._lapses())
            if group not in bound:
                await self._bind(queue, group)
                bound.add(group)

    def told(self, queue: str, entry: Entry) -> None:
        """Take in what the reader of a process queue is told."""
        if entry.joins:
            self.known.add(entry.group, queue + entry.local, self._lapses())
            bound = self._core.process_queue(queue).bound
            if entry.group not in bound:
                # It may have been unbound just when this socket was about to join.
                bound.add(entry.group)
                self._core.start(self._bind(queue, entry.group))
        else:
            self.known.discard(entry.group, queue + entry.local)
            if queue not in self.known.queues(entry.group):
                self._core.start(self._unbind(queue, entry.group))

    async def drop_lapsed(self, group: str) -> None:
        """Have a group lead no longer to channels whose memberships nobody has renewed."""
        for channel in self.known.lapsed(group, self._core.layer.clock()):
            self.known.discard(group, channel)
            if not local_part(channel):
                await self._unbind(channel, group)

    async def drop_unread(self, queue: str, age: float) -> None:
        """Take a queue out of its groups: a message that came so many seconds ago has expired in it."""
        layer = self._core.layer
        for group, channel, lapses in self.known.of_queue(queue):
            if lapses - layer.group_expiry <= layer.clock() - age:
                self.known.discard(group, channel)
                if not local_part(channel):
                    await self._unbind(queue, group)

    def _lapses(self) -> float:
        return self._core.layer.clock() + self._core.layer.group_expiry

    async def _bind(self, queue: str, group: str) -> None:
        core = self._core
        core.use(queue)
        arguments = core.message_queue(queue)
        await core.declarer.bound_queue(core.names.queue(queue), arguments, core.names.groups, group)

    async def _unbind(self, queue: str, group: str) -> None:
        core = self._core
        if queue.endswith("!"):
            core.process_queue(queue).bound.discard(group)
        await core.declarer.ask(
            "queue_unbind", queue=core.names.queue(queue), exchange=core.names.groups, routing_key=group
        )

    async def _tell(self, group: str, channel: str, joins: bool) -> None:
        """Tell the reader of a process queue who joins or leaves."""
        queue = queue_of(channel)
        packed = pack(local_part(channel), group, None, joins, self._core.layer.max_message_size)
        await self.tell_reader(queue, self._core.stamps.put_on(packed))

    async def tell_reader(self, queue: str, body: bytes, kind: str = "") -> None:
        """Tell the reader of a process queue something beside its messages."""
        core = self._core
        for _ in range(2):
            outcome = await core.published("", core.names.members(queue), body, kind)
            if outcome is Outcome.TAKEN:
                return
            core.declarer.forget(core.names.members(queue))
            await core.have_members(queue)
        raise ChannelLayerUnavailable(f"The reader of {queue} could not be told of a change.", uncertain=True)
