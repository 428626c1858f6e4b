"""
The Redis layer.

A message is popped and fetched in one step, capacity is decided where the messages are, and the store's clock decides
what has expired. What several threads or connections send meanwhile leaves in one write.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from ...exceptions import ChannelLayerUnavailable
from ...values.names import local_part, prefix_of, queue_of, require_channel_name, require_group_name
from ..base import Content
from . import scripts
from .counts import figures
from .envelope import UnreadableEntry, split, unpack
from .hosts import StoreHost
from .loop_side import LoopSide
from .thread_side import ThreadSide

# As many keys are looked at in one step, so that the store gets to other work in between.
PAGE = 1000
# As many channels are found at once in which messages have waited for long.
FOUND_AT_ONCE = 100


class RedisChannelLayer(ThreadSide, LoopSide):
    """
    A channel layer over one or several Redis or Valkey servers.

    ``hosts`` are URLs (``redis://``, ``rediss://``, ``unix://``), pairs of address and port, or dicts of arguments
    for a redis-py connection; ``connection_kwargs`` are such arguments for all of them. ``prefix`` stands in front of
    every key: two projects that share a server need different ones. With ``symmetric_encryption_keys`` messages are
    encrypted with the first key, and read with any. The other arguments are those of every layer.
    """

    # Groups

    def group_add(self, group: str, channel: str) -> None:
        require_group_name(group), require_channel_name(channel)
        queue, local = queue_of(channel), local_part(channel)
        own = self.get_capacity(channel)
        usual = self.get_capacity("reply.any!") if local else self.capacity
        host = self._group_host(channel)
        self._learn_time(host)
        host.threads.run(
            scripts.GROUP_ADD,
            self.prefix,
            self._group_expiry,
            group,
            queue,
            local,
            "" if own == usual else own,
            self._pack_change(host, group, channel, joins=True),
            "" if self._cipher is None else "1",
        )

    def group_discard(self, group: str, channel: str) -> None:
        require_group_name(group), require_channel_name(channel)
        queue, local = queue_of(channel), local_part(channel)
        host = self._group_host(channel)
        self._learn_time(host)
        told = self._pack_change(host, group, channel, joins=False) if local else ""
        host.threads.run(scripts.GROUP_DISCARD, self.prefix, self._group_expiry, told, queue, group, local)

    def group_channels(self, group: str) -> list[str]:
        require_group_name(group)
        channels = []
        for host in self._hosts:
            found = [part.decode() for part in host.threads.run(scripts.GROUP_CHANNELS, self.prefix, group)]
            channels += [queue + local for queue, local in zip(found[::2], found[1::2], strict=True)]
        return channels

    def _group_host(self, channel: str) -> StoreHost:
        """Return the host that knows of a channel's memberships: where a broadcast to it is pushed."""
        return self._hosts[self._ring.host_of(queue_of(channel))]

    # Looking after it

    def flush(self) -> None:
        for host in self._hosts:
            for keys in self._scan(host, "*"):
                host.threads.exchange([("UNLINK", *keys)])
        self._forget_deliveries()

    def channel_statistics(self, channel: str) -> dict[str, Any]:
        queue = queue_of(require_channel_name(channel))
        return self._figures(lambda host: [[f"queue:{queue}", f"counts:{prefix_of(queue)}"]])

    def global_statistics(self) -> dict[str, Any]:
        return self._figures(self._pages)

    def find_waiting(self, prefix: str, age: float) -> list[tuple[str, Content]]:
        if len(self._hosts) == 1:
            return self._find_waiting_on(self._hosts[0], prefix, age)
        found = []
        for host in [host for host in self._hosts if not host.rests]:
            try:
                found += self._find_waiting_on(host, prefix, age)
                host.works("looks")
            except ChannelLayerUnavailable as error:
                host.failed(error, "looks")
        return found

    def _find_waiting_on(self, host: StoreHost, prefix: str, age: float) -> list[tuple[str, Content]]:
        left, start = int((self.expiry - age) * 1000), random.randrange(1_000_000)
        flat = host.threads.run(scripts.FIND_WAITING, self.prefix, left, prefix, FOUND_AT_ONCE, start)
        found = []
        for queue, stored in zip(flat[::2], flat[1::2], strict=True):
            with contextlib.suppress(UnreadableEntry):
                found.append((queue.decode(), self._peek(host, queue.decode(), stored)))
        return found

    def _peek(self, host: StoreHost, queue: str, stored: bytes) -> Content:
        """Return the content of a message that stays where it is. Raises ``UnreadableEntry``."""
        body = split(stored)[1]
        entry = unpack(body) if self._cipher is None else self._unsealed(self._cipher, queue, body, host.seconds())[1]
        return entry.content or {}

    async def statistics_async(self, channel: str) -> dict[str, Any]:
        return await asyncio.get_running_loop().run_in_executor(None, self.channel_statistics, channel)

    def _figures(self, pages: Callable[[StoreHost], Iterable[Sequence[Any]]]) -> dict[str, Any]:
        self._save_counts()
        found = [
            host.threads.run(scripts.FIGURES, *self._look_head, *keys) for host in self._hosts for keys in pages(host)
        ]
        waiting: Counter[str] = Counter()
        for names_and_numbers in (answer[0] for answer in found):
            for name, number in zip(names_and_numbers[::2], names_and_numbers[1::2], strict=True):
                waiting[name.decode()] += number
        age = max(answer[1] for answer in found) / 1000
        return figures(waiting, age, found[0][2] / 1000, [counts for answer in found for counts in answer[3:]])

    def _pages(self, host: StoreHost) -> Iterator[list[bytes]]:
        # What has died in queues is counted when they are looked at, so counts are not looked for before.
        for pattern in ("queue:*", "counts:*"):
            keys = self._find(host, pattern)
            # One page at least: its answer also tells the time.
            for start in range(0, max(1, len(keys)), PAGE):
                yield keys[start : start + PAGE]

    def _find(self, host: StoreHost, pattern: str) -> list[bytes]:
        """Return the keys that match, without the prefix."""
        start = len(self.prefix.encode())
        # A scan may find the same key twice.
        return sorted({key[start:] for keys in self._scan(host, pattern) for key in keys})

    def _scan(self, host: StoreHost, pattern: str) -> Iterator[list[bytes]]:
        literal, cursor = re.sub(r"[\\*?\[\]]", r"\\\g<0>", self.prefix), b"0"
        while True:
            scan = ("SCAN", cursor, "MATCH", f"{literal}{pattern}", "COUNT", PAGE)
            cursor, keys = host.threads.exchange([scan])[0]
            if keys:
                yield keys
            if cursor == b"0":
                return
