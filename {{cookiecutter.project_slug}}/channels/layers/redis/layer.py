"""
The Redis layer.

A message is popped and fetched in one step, capacity is decided where the messages are, and the store's clock decides
what has expired. What several threads or connections send meanwhile leaves in one write.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ...values.names import prefix_of, queue_of, require_channel_name, require_group_name
from ..base import BaseChannelLayer, Content, Delivery, Entry, Lease, Send, UnderWay
from ..envelope import pack_message
from .counts import StoreCounts, statistics_of
from .event_loops import HostForLoops
from .hosts import Host, RedisHost, StoreHost
from .store import ANSWER_TIMEOUT, BLOCK, Store
from .threads import HostForThreads

if TYPE_CHECKING:
    from .several.event_loops import HostsForLoops
    from .several.threads import HostsForThreads


class RedisChannelLayer(BaseChannelLayer):
    """
    A channel layer over one or several Redis or Valkey servers.

    ``hosts`` are URLs (``redis://``, ``rediss://``, ``unix://``), pairs of address and port, or dicts of arguments
    for a redis-py connection; ``connection_kwargs`` are such arguments for all of them. ``prefix`` stands in front of
    every key: two projects that share a server need different ones. With ``symmetric_encryption_keys`` messages are
    encrypted with the first key, and read with any. The other arguments are those of every layer.
    """

    lease_interval: ClassVar[float | None] = 2.0

    def __init__(
        self,
        hosts: Sequence[Host] | None = None,
        prefix: str = "channels:",
        connection_kwargs: dict[str, Any] | None = None,
        symmetric_encryption_keys: Sequence[str | bytes] = (),
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.prefix = prefix
        self._store = Store(self, prefix, symmetric_encryption_keys)
        self.statistics: StoreCounts = self._store.statistics
        arguments = {"socket_timeout": BLOCK + ANSWER_TIMEOUT, "protocol": 2, **(connection_kwargs or {})}
        self._hosts = self.make_hosts(hosts or [("localhost", 6379)], arguments)
        self._threads: HostForThreads | HostsForThreads
        self._loops: HostForLoops | HostsForLoops
        self._threads, self._loops = self._sides()

    def make_hosts(self, hosts: Sequence[Host], arguments: dict[str, Any]) -> list[StoreHost]:
        """Return what messages are spread over, given the arguments ``hosts`` and those of a connection."""
        return [RedisHost(host, arguments) for host in hosts]

    def _sides(self) -> tuple[HostForThreads, HostForLoops] | tuple[HostsForThreads, HostsForLoops]:
        if len(self._hosts) > 1:
            from .several.event_loops import HostsForLoops
            from .several.spread import Spread
            from .several.threads import HostsForThreads

            spread = Spread(self._store, self._hosts)
            return HostsForThreads(spread), HostsForLoops(spread)
        host = self._hosts[0]
        # Its outage is that of the whole layer.
        host.outage = self.outage
        return HostForThreads(self._store, host), HostForLoops(self._store, host)

    def encode(self, name: str, message: Content, to_group: bool) -> bytes:
        """Return the entry of a message. It is sealed when it is written: only then is the store's time known."""
        return pack_message(name, message, to_group, self.max_message_size)

    def describe_full(self, channel: str) -> str:
        """Say why a message was refused: because of the store, if there was something wrong with it lately."""
        return self._store.describe_trouble() or super().describe_full(channel)

    # Threads

    def send_many(self, batch: Iterable[Send]) -> list[Send]:
        return self._threads.send_many(batch)

    def take(self, channels: Sequence[str], timeout: float | None = 0.0) -> Delivery | None:
        delivery = self._threads.reader.take(channels, timeout)
        if delivery is not None:
            self.statistics.count_received(delivery.channel)
        return delivery

    def send_and_take(
        self, batch: Sequence[Send], channels: Sequence[str], timeout: float, finished: str = ""
    ) -> tuple[list[Send], Delivery | None]:
        refused, delivery = self._threads.take_turn(batch, channels, timeout, prefix_of(finished))
        if delivery is not None:
            self.statistics.note_read(prefix_of(delivery.channel))
        return refused, delivery

    def interrupt(self) -> None:
        self._threads.reader.interrupt()

    def give_back(self) -> None:
        self._threads.give_back()

    def group_add(self, group: str, channel: str) -> None:
        require_group_name(group), require_channel_name(channel)
        self._threads.of(channel).group_add(group, channel)

    def group_discard(self, group: str, channel: str) -> None:
        require_group_name(group), require_channel_name(channel)
        self._threads.of(channel).group_discard(group, channel)

    def group_channels(self, group: str) -> list[str]:
        return self._threads.group_channels(require_group_name(group))

    def flush(self) -> None:
        self._threads.flush()

    def channel_statistics(self, channel: str) -> dict[str, Any]:
        queue = queue_of(require_channel_name(channel))
        self._threads.save_counts()
        return statistics_of(self._threads.channel_figures(queue))

    def global_statistics(self) -> dict[str, Any]:
        self._threads.save_counts()
        return statistics_of(self._threads.all_figures())

    def renew_worker(self, worker: str, has: Sequence[UnderWay]) -> None:
        self._threads.first.renew_worker(worker, has)

    def end_worker(self, worker: str) -> None:
        self._threads.first.end_worker(worker)

    # Event loops

    async def send_many_async(self, batch: Iterable[Send]) -> list[Send]:
        return await self._loops.send_many(batch)

    async def read_queue(self, queue: str) -> list[Entry]:
        return await self._loops.of(queue).read_queue(queue)

    async def leave_groups(self, queue: str, memberships: Iterable[tuple[str, str]]) -> None:
        await self._loops.of(queue).leave_groups(queue, memberships)

    async def renew_groups(self, queue: str, memberships: Iterable[tuple[str, str]]) -> None:
        await self._loops.of(queue).renew_groups(queue, memberships)

    async def restate_memberships(self, queue: str) -> None:
        await self._loops.of(queue).restate_memberships(queue)

    async def renew_lease(self, queue: str) -> Lease:
        return await self._loops.of(queue).renew_lease(queue)

    async def find_lost(self, under_way: Sequence[UnderWay]) -> list[UnderWay]:
        return await self._loops.find_lost(under_way)

    async def tend(self) -> None:
        await self._loops.tend()

    async def end_lease(self, queue: str) -> None:
        await self._loops.of(queue).end_lease(queue)

    async def set_wills(self, queue: str, wills: Iterable[tuple[str, Send | None]]) -> None:
        await self._loops.of(queue).set_wills(queue, wills)
