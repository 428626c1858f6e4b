"""
The RabbitMQ layer.

Each channel is a queue of the broker, which decides how many messages it takes and when they expire. What threads and
event loops ask for is done by the I/O thread of their process: see ``io_thread``.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from ...exceptions import ChannelLayerUnavailable, InvalidChannelLayerError
from ...values.names import require_channel_name, require_group_name, require_readable_name
from ..base import BaseChannelLayer, Content, Delivery, Entry, Lease, Send, UnderWay
from ..envelope import pack_message
from ..statistics import Statistics
from .addresses import Address
from .consumers import Waiter
from .io_thread import IOThread
from .topology import Names

# The broker takes names of 255 bytes, and a channel's has 199 at most.
_LONGEST_PREFIX = 40


class RabbitmqChannelLayer(BaseChannelLayer):
    """
    A channel layer over RabbitMQ.

    ``hosts`` are URLs of brokers of one cluster, ``amqp://user:password@host:5672/virtual-host`` or ``amqps://``; a
    process uses one at a time. ``prefix`` stands in front of every name: two projects that share a virtual host need
    different ones. ``url`` is what the layer of Channels 1 called the one host. The other arguments are those of every
    layer. Raises ``InvalidChannelLayerError``.
    """

    lease_interval: ClassVar[float | None] = 2.0

    def __init__(
        self, hosts: Sequence[str] | str | None = None, prefix: str = "channels:", url: str = "", **options: Any
    ) -> None:
        super().__init__(**options)
        if not isinstance(prefix, str) or len(prefix.encode()) > _LONGEST_PREFIX:
            raise InvalidChannelLayerError(
                f"The channel layer's prefix is {prefix!r}; expected a text of at most {_LONGEST_PREFIX} bytes."
            )
        urls = [hosts] if isinstance(hosts, str) else list(hosts or [url or "amqp://localhost"])
        self._addresses = [Address(url) for url in urls]
        self._names = Names(prefix)
        self.statistics: Statistics = Statistics(self.clock)
        self._making = threading.Lock()
        self._made: IOThread | None = None

    @property
    def _io(self) -> IOThread:
        made = self._made
        # Connections and threads do not outlive a fork.
        if made is None or made.process != os.getpid():
            with self._making:
                if self._made is None or self._made.process != os.getpid():
                    self._made = IOThread(self, self.statistics, self._names, self._addresses)
                    weakref.finalize(self, self._made.end)
                made = self._made
        return made

    def encode(self, name: str, message: Content, to_group: bool) -> bytes:
        """Return the entry of a message."""
        return pack_message(name, message, to_group, self.max_message_size)

    # Threads

    def send_many(self, batch: Iterable[Send]) -> list[Send]:
        sends = list(batch)
        return list(self._io.run(self._io.batches.send(sends))) if sends else []

    def take(self, channels: Sequence[str], timeout: float | None = 0.0) -> Delivery | None:
        return self._taken([require_readable_name(channel) for channel in channels], timeout)

    def _taken(self, names: Sequence[str], timeout: float | None) -> Delivery | None:
        if not names:
            return None
        delivery = self._io.run(self._io.consumers.get(names)) if timeout == 0 else self._wait(names, timeout)
        if delivery is not None:
            self.statistics.count_received(delivery.channel)
        return delivery

    def _wait(self, names: Sequence[str], timeout: float | None) -> Delivery | None:
        waiter = Waiter(names)
        self._io.wait(waiter, timeout)
        if waiter.error is not None:
            raise waiter.error
        return waiter.delivery

    def send_and_take(
        self, batch: Sequence[Send], channels: Sequence[str], timeout: float, finished: str = ""
    ) -> tuple[list[Send], Delivery | None]:
        if finished:
            self.statistics.count_finished(finished)
        names = [require_readable_name(channel) for channel in channels]
        if batch and names and timeout > 0:
            refused, delivery = self._take_turn(batch, names, timeout)
        else:
            refused = self.send_many(batch)
            delivery = self._taken(names, 0.0 if refused else timeout)
        if delivery is not None:
            self.statistics.count_begun(delivery.channel)
        return refused, delivery

    def _take_turn(
        self, batch: Sequence[Send], names: Sequence[str], timeout: float
    ) -> tuple[list[Send], Delivery | None]:
        """Send, and wait for a message meanwhile."""
        waiter = Waiter(names)
        answer = self._io.take_turn(batch, waiter, timeout)
        delivery = waiter.delivery
        if delivery is not None:
            self.statistics.count_received(delivery.channel)
        error = answer.error or waiter.error
        if error is None:
            return list(answer.refused), delivery
        if delivery is None:
            raise error
        # The message that has come shall not be lost, so the worker hears nothing of the failure.
        self.outage.goes_on(error, "sends")
        return self._left_of(batch, error), delivery

    def _left_of(self, batch: Sequence[Send], error: Exception) -> list[Send]:
        """Return what may be sent again; the rest is counted."""
        if isinstance(error, ChannelLayerUnavailable) and not error.uncertain:
            return list(batch)
        for send in batch:
            if send.content is not None:
                self.statistics.count_dropped(send.name, "uncertain")
        return [left for send in batch for left in send.of_finish_alone()]

    def interrupt(self) -> None:
        self._io.consumers.interrupt()

    def group_add(self, group: str, channel: str) -> None:
        require_group_name(group), require_channel_name(channel)
        self._io.run(self._io.memberships.add(group, channel))

    def group_discard(self, group: str, channel: str) -> None:
        require_group_name(group), require_channel_name(channel)
        self._io.run(self._io.memberships.discard(group, channel))

    def group_channels(self, group: str) -> list[str]:
        """Return the channels that this process knows to be in a group: those it has put there, and its own sockets."""
        return self._io.run(self._io.group_channels(require_group_name(group)))

    def flush(self) -> None:
        """Remove all groups, and the messages in all channels that this process has used."""
        self._io.run(self._io.flush())

    def channel_statistics(self, channel: str) -> dict[str, Any]:
        """Return what this process has counted of a channel, and what waits in it at the broker."""
        return self._io.run(self._io.channel_statistics(require_channel_name(channel)))

    def global_statistics(self) -> dict[str, Any]:
        """Return the same figures summed over all channels that this process has used."""
        return self._io.run(self._io.global_statistics())

    def renew_worker(self, worker: str, has: Sequence[UnderWay]) -> None:
        self._io.run(self._io.workers.tell(worker, has))

    def end_worker(self, worker: str) -> None:
        self._io.run(self._io.workers.end(worker))

    # Event loops

    async def send_many_async(self, batch: Iterable[Send]) -> list[Send]:
        sends = list(batch)
        return await self._io.gathered().send(sends) if sends else []

    async def read_queue(self, queue: str) -> list[Entry]:
        reader = await self._io.reader_of(queue)
        if reader.entries:
            # Where there is always more, nobody else on the loop would ever have a turn.
            await asyncio.sleep(0)
        while not reader.entries:
            await self._io.want(reader)
        return [reader.entries.popleft() for _ in range(len(reader.entries))]

    async def leave_groups(self, queue: str, memberships: Iterable[tuple[str, str]]) -> None:
        await self._io.run_async(self._io.memberships.leave(queue, list(memberships)))

    async def renew_groups(self, queue: str, memberships: Iterable[tuple[str, str]]) -> None:
        await self._io.run_async(self._io.memberships.renew(queue, list(memberships)))

    async def renew_lease(self, queue: str) -> Lease:
        return await self._io.run_async(self._io.renew_lease(queue))

    async def end_lease(self, queue: str) -> None:
        await self._io.run_async(self._io.end_lease(queue))

    async def set_wills(self, queue: str, wills: Iterable[tuple[str, Send | None]]) -> None:
        await self._io.run_async(self._io.wills.set_some(queue, list(wills)))

    async def tend(self) -> None:
        await self._io.run_async(self._io.figures.count_dead())

    async def find_lost(self, under_way: Sequence[UnderWay]) -> list[UnderWay]:
        return await self._io.run_async(self._io.find_lost(under_way)) if under_way else []
