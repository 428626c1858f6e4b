"""
Know what the broker knows of a channel: what waits in it, and what has died.

The broker puts messages that have expired, and those that it has refused, into a queue of their own, and says from
where they come and why. Whoever looks after the layer counts them, so each is counted once, by somebody. Under a flood
of refusals the oldest give way uncounted.
"""

from __future__ import annotations

from typing import Any

from .broker import Broker
from .consumers import Consumers
from .memberships import Memberships
from .stamps import age_of

# At one time no more dead messages are looked at.
_MOST = 1000


class Figures:
    """What waits and what has died; for the I/O thread alone."""

    def __init__(self, broker: Broker, consumers: Consumers, memberships: Memberships) -> None:
        self._broker = broker
        self._consumers = consumers
        self._memberships = memberships

    async def oldest(self, channel: str) -> float | None:
        """Return for how many seconds the first message of a channel has waited, None if there is none."""
        found = await self._consumers.pull(self._broker.names.queue(channel), put_back=True)
        return None if found is None else age_of(self._broker.stamps.take_off(found[0])[0])

    async def pending(self, channel: str) -> tuple[int, float]:
        """Return how many messages wait in a channel, and for how long the first of them has."""
        await self._broker.publishing.ready()
        count = await self._broker.declarer.count(self._broker.names.queue(channel)) or 0
        return count, (await self.oldest(channel) or 0.0) if count else 0.0

    async def count_dead(self) -> None:
        """Count what has died."""
        await self._broker.reading.ready()
        for _ in range(_MOST):
            found = await self._consumers.pull(self._broker.names.dead)
            if found is None:
                return
            body, properties = found
            await self._count(body, properties.headers or {})

    async def _count(self, body: bytes, headers: dict[str, Any]) -> None:
        broker = self._broker
        deaths = headers.get("x-death") or [{}]
        channel = broker.names.channel(str(deaths[0].get("queue", "")))
        if deaths[0].get("reason") == "expired":
            stamp, _ = broker.stamps.take_off(body)
            broker.statistics.count_dropped(channel, "expired", "Is a worker or interface server reading it?")
            await self._memberships.drop_unread(channel, age_of(stamp))
        elif deaths[0].get("exchange") == broker.names.groups:
            # Others were refused, and their senders know it.
            broker.statistics.count_dropped(channel, "full, group message", broker.layer.describe_full(channel))
