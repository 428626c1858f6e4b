"""
Put channels into groups and take them out.

A group is a routing key that leads to queues: those of ordinary channels, and process queues, whose readers are told
which of their sockets are in it. The broker tells nobody where a group leads. So a process remembers what it has put
into groups itself, and what it has read.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Collection, Iterable

from ...values.names import local_part, queue_of
from ..base import Entry
from ..envelope import pack
from .broker import Broker

# As many memberships are remembered.
MOST = 100_000


class _Members:
    """The members of one group."""

    def __init__(self) -> None:
        # When each membership lapses. All live equally long, so what was renewed last lapses last, and is at the end.
        self.channels: OrderedDict[str, float] = OrderedDict()
        # How many there are in each queue.
        self.queues: Counter[str] = Counter()


class Known:
    """Memberships and when they lapse, by the layer's clock. Nothing that a broadcast asks grows with its group."""

    def __init__(self) -> None:
        self._groups: dict[str, _Members] = {}
        # All, those renewed last at the end.
        self._order: OrderedDict[tuple[str, str], None] = OrderedDict()

    def add(self, group: str, channel: str, lapses: float) -> None:
        """Remember a membership, or that it was renewed."""
        members = self._groups.setdefault(group, _Members())
        if channel not in members.channels:
            members.queues[queue_of(channel)] += 1
        members.channels[channel] = lapses
        members.channels.move_to_end(channel)
        self._order[group, channel] = None
        self._order.move_to_end((group, channel))
        if len(self._order) > MOST:
            self.discard(*next(iter(self._order)))

    def discard(self, group: str, channel: str) -> None:
        """Forget a membership, if it is known."""
        members = self._groups.get(group)
        if members is None or members.channels.pop(channel, None) is None:
            return
        del self._order[group, channel]
        queue = queue_of(channel)
        members.queues[queue] -= 1
        if not members.queues[queue]:
            del members.queues[queue]
        if not members.channels:
            del self._groups[group]

    def channels(self, group: str) -> list[str]:
        """Return the channels in a group."""
        return list(self._groups[group].channels) if group in self._groups else []

    def queues(self, group: str) -> Collection[str]:
        """Return the queues that have members in a group."""
        return self._groups[group].queues.keys() if group in self._groups else ()

    def lapsed(self, group: str, now: float) -> list[str]:
        """Return the channels whose membership has lapsed."""
        if group not in self._groups:
            return []
        memberships = self._groups[group].channels.items()
        return [channel for channel, _ in itertools.takewhile(lambda membership: membership[1] <= now, memberships)]

    def of_queue(self, queue: str) -> list[tuple[str, str, float]]:
        """Return the memberships of the channels of a queue: group, channel, and when each lapses."""
        return [
            (group, channel, lapses)
            for group, members in self._groups.items()
            if queue in members.queues
            for channel, lapses in members.channels.items()
            if queue_of(channel) == queue
        ]

    def clear(self) -> None:
        """Forget all."""
        self._groups.clear()
        self._order.clear()


class Memberships:
    """The groups as one process knows and changes them; for the I/O thread alone."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.known = Known()
        # Of each process queue that is read here, the groups that are sure to lead to it.
        self._bound: defaultdict[str, set[str]] = defaultdict(set)

    async def add(self, group: str, channel: str) -> None:
        """Have a group lead to a channel."""
        broker = self._broker
        await broker.publishing.ready()
        if local_part(channel):
            # The word first: it lies in front of all messages that come by the membership.
            await asyncio.gather(self._tell(group, channel, joins=True), self._bind(queue_of(channel), group))
        else:
            await self._bind(channel, group)
        self.known.add(group, channel, self._lapses())

    async def discard(self, group: str, channel: str) -> None:
        """Have a group lead to a channel no longer."""
        await self._broker.publishing.ready()
        self.known.discard(group, channel)
        if local_part(channel):
            await self._tell(group, channel, joins=False)
        else:
            await self._unbind(channel, group)

    async def leave(self, queue: str, memberships: Iterable[tuple[str, str]]) -> None:
        """Take closed sockets out of their groups: a group without one leads to their queue no longer."""
        await self._broker.publishing.ready()
        left = dict.fromkeys(group for group, _ in memberships)
        for group, local in memberships:
            self.known.discard(group, queue + local)
        for group in left:
            if queue not in self.known.queues(group):
                await self._unbind(queue, group)

    async def renew(self, queue: str, memberships: Iterable[tuple[str, str]]) -> None:
        """Renew the memberships of living sockets; if the broker has lost them, they are there again."""
        await self._broker.publishing.ready()
        for group, local in memberships:
            self.known.add(group, queue + local, self._lapses())
            bound = self._bound[queue]
            if group not in bound:
                await self._bind(queue, group)
                bound.add(group)

    def told(self, queue: str, entry: Entry) -> None:
        """Take in what the reader of a process queue is told."""
        if entry.joins:
            self.known.add(entry.group, queue + entry.local, self._lapses())
            bound = self._bound[queue]
            if entry.group not in bound:
                # It may have been unbound just when this socket was about to join.
                bound.add(entry.group)
                self._broker.start(self._bind(queue, entry.group))
        else:
            self.known.discard(entry.group, queue + entry.local)
            if queue not in self.known.queues(entry.group):
                self._broker.start(self._unbind(queue, entry.group))

    async def drop_lapsed(self, group: str) -> None:
        """Have a group lead no longer to channels whose memberships nobody has renewed."""
        for channel in self.known.lapsed(group, self._broker.layer.clock()):
            self.known.discard(group, channel)
            if not local_part(channel):
                await self._unbind(channel, group)

    async def drop_unread(self, queue: str, age: float) -> None:
        """Take a queue out of its groups: a message that came so many seconds ago has expired in it."""
        layer = self._broker.layer
        for group, channel, lapses in self.known.of_queue(queue):
            if lapses - layer.group_expiry <= layer.clock() - age:
                self.known.discard(group, channel)
                if not local_part(channel):
                    await self._unbind(queue, group)

    def forget_all(self) -> None:
        """Take note that all groups are gone."""
        self.known.clear()
        self._bound.clear()

    def be_unsure(self, queue: str) -> None:
        """Be no longer sure which groups lead to a process queue: the connection was lost, or it is read no longer."""
        self._bound.pop(queue, None)

    def _lapses(self) -> float:
        return self._broker.layer.clock() + self._broker.layer.group_expiry

    async def _bind(self, queue: str, group: str) -> None:
        broker = self._broker
        broker.use(queue)
        arguments = broker.message_queue(queue)
        await broker.declarer.bound_queue(broker.names.queue(queue), arguments, broker.names.groups, group)

    async def _unbind(self, queue: str, group: str) -> None:
        broker = self._broker
        if queue in self._bound:
            self._bound[queue].discard(group)
        await broker.declarer.ask(
            "queue_unbind", queue=broker.names.queue(queue), exchange=broker.names.groups, routing_key=group
        )

    async def _tell(self, group: str, channel: str, joins: bool) -> None:
        """Tell the reader of a process queue who joins or leaves."""
        queue = queue_of(channel)
        packed = pack(local_part(channel), group, None, joins, self._broker.layer.max_message_size)
        await self._broker.tell_reader(queue, packed)
