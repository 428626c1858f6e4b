"""
The broker as one process uses it: two connections, and what all parts of the layer do over them.

What is published has a connection apart from what is read: the broker stops reading from connections that publish
while it is short of memory or disk.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from ...exceptions import ChannelLayerUnavailable
from ..base import BaseChannelLayer, Delivery, Entry
from ..envelope import UnreadableEntry, unpack
from ..statistics import Statistics
from .addresses import Address
from .connection import Link, Refused, give
from .publisher import Outcome, Publisher
from .stamps import Stamps
from .topology import Declarer, Limits, Names, dead_queue, members_queue, message_queue

logger = logging.getLogger(__name__)

# As many names of queues are remembered, for a flush.
USED = 10_000


class Broker:
    """What all parts of a layer share; for the I/O thread alone, but for ``post``."""

    def __init__(
        self,
        layer: BaseChannelLayer,
        statistics: Statistics,
        names: Names,
        addresses: Sequence[Address],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.layer = layer
        self.statistics = statistics
        self.names = names
        self.stamps = Stamps()
        # The channels and process queues that this process has used.
        self.used: dict[str, None] = {}
        self.publishing = Link(addresses, self._open, lambda: self.publisher.lose(), lambda: self.publisher.give_up())
        self.reading = Link(addresses)
        self.publisher = Publisher(self.publishing)
        self.declarer = Declarer(self.publishing)
        self._limits = Limits(layer.expiry, layer.group_expiry)
        self._loop = loop
        self._tasks: set[asyncio.Task[Any]] = set()

    async def _open(self) -> None:
        await self.publisher.open()
        self.declarer.forget_all()
        names = self.names
        await self.declarer.exchanges(names.groups, names.dead_letters)
        await self.declarer.bound_queue(names.dead, dead_queue(self._limits), names.dead_letters, "")

    def post(self, call: Callable[..., object], *arguments: Any) -> None:
        """Have the I/O thread call something; for any thread."""
        self._loop.call_soon_threadsafe(call, *arguments)

    def start(self, work: Coroutine[Any, Any, Any]) -> None:
        """Begin something that nobody waits for."""
        task = self._loop.create_task(_unattended(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def end(self) -> None:
        """End all that has begun, and close the connections."""
        for task in self._tasks:
            task.cancel()
        for link in self.publishing, self.reading:
            link.close()

    # What is there

    def use(self, channel: str) -> None:
        """Remember that this process uses a channel."""
        self.used[channel] = None
        if len(self.used) > USED:
            del self.used[next(iter(self.used))]

    def message_queue(self, channel: str) -> dict[str, Any]:
        """Return the arguments of the queue for a channel or a process queue."""
        return message_queue(self._limits, self.layer.get_capacity(channel), self.names)

    async def have_queue(self, channel: str) -> None:
        """Have the queue for a channel or a process queue."""
        await self.publishing.ready()
        self.use(channel)
        await self.declarer.queue(self.names.queue(channel), self.message_queue(channel))

    async def have_members(self, queue: str) -> None:
        """Have the queue for what the reader of a process queue is told beside its messages."""
        await self.publishing.ready()
        await self.declarer.queue(self.names.members(queue), members_queue(self._limits))

    # What is sent

    async def published(self, exchange: str, key: str, body: bytes, kind: str = "") -> Outcome:
        """Publish a single message, and return what has become of it."""
        await self.publishing.ready()
        self.publisher.check()
        told: asyncio.Future[Outcome] = self._loop.create_future()
        self.publisher.publish(exchange, key, body, lambda outcome: give(told, outcome), kind)
        return await told

    async def tell_reader(self, queue: str, packed: bytes, kind: str = "") -> None:
        """Tell the reader of a process queue something beside its messages."""
        body = self.stamps.put_on(packed)
        for _ in range(2):
            if await self.published("", self.names.members(queue), body, kind) is Outcome.TAKEN:
                return
            self.declarer.forget(self.names.members(queue))
            await self.have_members(queue)
        raise ChannelLayerUnavailable(f"The reader of {queue} could not be told of a change.", uncertain=True)

    # What has come

    def delivery(self, channel: str, body: bytes) -> Delivery | None:
        """Return the message in what has come; None if it cannot be read, which is counted."""
        read = self.entry(channel, body)
        return None if read is None else Delivery(channel, read[1].content or {}, read[1].ticket)

    def entry(self, channel: str, body: bytes) -> tuple[int, Entry] | None:
        """Return the entry in what has come, and its stamp."""
        try:
            stamp, packed = self.stamps.take_off(body)
            return stamp, unpack(packed)
        except UnreadableEntry as error:
            self.statistics.count_dropped(channel, "unreadable", str(error))
            return None


async def _unattended(work: Coroutine[Any, Any, Any]) -> None:
    try:
        await work
    except (ChannelLayerUnavailable, Refused) as error:
        logger.debug("Something was not done, since the connection was lost: %s", error)
    except Exception:
        logger.exception("Something in the I/O thread has failed")
