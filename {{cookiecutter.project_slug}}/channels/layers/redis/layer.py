"""
The Redis layer.

A message is popped and fetched in one step, capacity is decided where the messages are, and the store's clock decides
what has expired. What several threads or connections send meanwhile leaves in one write.
"""

from __future__ import annotations

import asyncio
from typing import Any

from ...names import local_part, prefix_of, queue_of, require_channel_name, require_group_name
from . import scripts
from .counts import figures
from .hosts import StoreHost
from .loop_side import LoopSide
from .thread_side import ThreadSide


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
        self._group_host(channel).threads.run(
            scripts.GROUP_ADD,
            self.prefix,
            self._group_expiry,
            group,
            queue,
            local,
            "" if own == usual else own,
            self._pack_change(group, channel, joins=True),
        )

    def group_discard(self, group: str, channel: str) -> None:
        require_group_name(group), require_channel_name(channel)
        queue, local = queue_of(channel), local_part(channel)
        told = self._pack_change(group, channel, joins=False) if local else ""
        self._group_host(channel).threads.run(
            scripts.GROUP_DISCARD, self.prefix, self._group_expiry, told, queue, group, local
        )

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
            cursor = b"0"
            while True:
                cursor, keys = host.threads.exchange([("SCAN", cursor, "MATCH", f"{self.prefix}*", "COUNT", 1000)])[0]
                if keys:
                    host.threads.exchange([("UNLINK", *keys)])
                if cursor == b"0":
                    break
        self._forget_deliveries()

    def channel_statistics(self, channel: str) -> dict[str, Any]:
        queue = queue_of(require_channel_name(channel))
        return self._figures(queue, prefix_of(queue))

    def global_statistics(self) -> dict[str, Any]:
        return self._figures("", "")

    async def statistics_async(self, channel: str) -> dict[str, Any]:
        return await asyncio.get_running_loop().run_in_executor(None, self.channel_statistics, channel)

    def _figures(self, queue: str, channel: str) -> dict[str, Any]:
        self._save_counts()
        found = [host.threads.run(scripts.FIGURES, *self._look_head, queue, channel) for host in self._hosts]
        waiting = sum(answer[0] for answer in found)
        age = max(answer[1] for answer in found) / 1000
        return figures(waiting, age, found[0][2] / 1000, [counts for answer in found for counts in answer[3:]])
