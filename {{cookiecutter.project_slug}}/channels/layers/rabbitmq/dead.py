"""
Count the messages that have died at the broker.

It puts those that have expired, and those that it has refused, into a queue of their own, and says from where they come
and why. Whoever looks after the layer counts them, so each is counted once, by somebody. Under a flood of refusals the
oldest give way uncounted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .stamps import age_of
from .topology import dead_queue

if TYPE_CHECKING:
    from .core import Core

# At one time no more than so many are looked at.
_MOST = 1000


class DeadMessages:
    """Counts dead messages; for the I/O thread alone."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def declare(self) -> None:
        """Have dead messages kept."""
        core = self._core
        await core.declarer.bound_queue(core.names.dead, dead_queue(core.limits), core.names.dead_letters, "")

    async def count(self) -> None:
        """Count what has died."""
        core = self._core
        await core.reading.ready()
        for _ in range(_MOST):
            found = await core.consumers.pull(core.names.dead)
            if found is None:
                return
            body, properties = found
            await self._count(body, properties.headers or {})

    async def _count(self, body: bytes, headers: dict[str, Any]) -> None:
        core = self._core
        deaths = headers.get("x-death") or [{}]
        channel = core.names.channel(str(deaths[0].get("queue", "")))
        statistics = core.layer.statistics
        if deaths[0].get("reason") == "expired":
            stamp, _ = core.stamps.take_off(body)
            statistics.count_dropped(channel, "expired", "Is a worker or interface server reading it?")
            await core.memberships.drop_unread(channel, age_of(stamp))
        elif deaths[0].get("exchange") == core.names.groups:
            # Others were refused, and their senders know it.
            statistics.count_dropped(channel, "full, group message", core.layer.describe_full(channel))
