"""
What the layer has at the broker: its names, and how it is declared.

    <prefix><channel>            a queue for each channel, and for the messages to each interface process
    <prefix><queue>+members      changes of the memberships of a process queue, and what else its reader is told
    <prefix><queue>+wills        the last wills of the connections of an interface process
    <prefix><queue>+lease        the word that the process lives; it dies by itself
    <prefix><queue>+ended        there while it has to be remembered that the process was taken for dead
    <prefix>+leases              where a lease goes that has died
    <prefix>+dead                where messages go that have expired, or that a group had for a full channel
    <prefix>groups, <prefix>dead the exchanges: groups are routing keys of the one, the other leads to +dead

All queues are classic, durable and shared, and vanish when nobody has used them for a while: brokers of version 4
refuse queues that are shared and neither durable nor exclusive, and messages that live for a minute have no use for
replication. The type is said, since a virtual host may have another one for its default.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from .connection import Line, Link, Refused

logger = logging.getLogger(__name__)

# A process that has not been heard of for so long, in seconds, may be dead.
LEASE = 6.0
# For so long, in seconds, the broker keeps a queue of which it is not known when it will be needed.
KEPT = 3600.0
# No queue goes sooner than that, in seconds: connections are lost and come back.
LEAST_LIFE = 60.0
# As many dead messages wait for somebody who counts them, and as many bytes of them.
DEAD_MESSAGES, DEAD_BYTES = 1000, 16 * 2**20
_PRECONDITION_FAILED, NOT_FOUND = 406, 404


class Limits(NamedTuple):
    """What a layer promises of messages, in seconds."""

    expiry: float
    group_expiry: float


class Names:
    """The names of queues and exchanges."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.groups, self.dead_letters = f"{prefix}groups", f"{prefix}dead"
        self.dead, self.leases = f"{prefix}+dead", f"{prefix}+leases"

    def queue(self, channel: str) -> str:
        """Return the queue of a channel or a process queue."""
        return self.prefix + channel

    def channel(self, queue: str) -> str:
        """Return the channel that a queue is for."""
        return queue.removeprefix(self.prefix)

    def members(self, queue: str) -> str:
        """Return the queue for what the reader of a process queue is told beside its messages."""
        return f"{self.prefix}{queue}+members"

    def wills(self, queue: str) -> str:
        """Return the queue for last wills."""
        return f"{self.prefix}{queue}+wills"

    def lease(self, queue: str) -> str:
        """Return the queue for the word that a process lives."""
        return f"{self.prefix}{queue}+lease"

    def ended(self, queue: str) -> str:
        """Return the queue that is there when a process was taken for dead."""
        return f"{self.prefix}{queue}+ended"


def message_queue(limits: Limits, capacity: int, names: Names) -> dict[str, Any]:
    """Return the arguments of a queue for messages."""
    return _arguments(
        2 * limits.expiry,
        **{
            "x-message-ttl": _milliseconds(limits.expiry),
            "x-max-length": capacity,
            # What finds no room is refused. What groups have for a full channel is counted by its dead letters.
            "x-overflow": "reject-publish-dlx",
            "x-dead-letter-exchange": names.dead_letters,
        },
    )


def members_queue(limits: Limits) -> dict[str, Any]:
    """Return the arguments of a queue for changes of memberships: what is not renewed lapses."""
    return _arguments(
        2 * min(limits.expiry, limits.group_expiry), **{"x-message-ttl": _milliseconds(limits.group_expiry)}
    )


def lease_queue(names: Names) -> dict[str, Any]:
    """Return the arguments of a queue for leases."""
    dead_letters = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": names.leases}
    return _arguments(KEPT, **{"x-message-ttl": _milliseconds(LEASE)}, **dead_letters)


def kept_queue() -> dict[str, Any]:
    """Return the arguments of a queue for last wills, for leases that have died, and of those that only have to be."""
    return _arguments(KEPT)


def dead_queue(limits: Limits) -> dict[str, Any]:
    """Return the arguments of the queue for dead messages, the oldest of which give way."""
    limit = {"x-max-length": DEAD_MESSAGES, "x-max-length-bytes": DEAD_BYTES, "x-overflow": "drop-head"}
    return _arguments(KEPT, **limit)


def _arguments(life: float, **others: Any) -> dict[str, Any]:
    return {"x-queue-type": "classic", "x-expires": _milliseconds(max(life, LEAST_LIFE)), **others}


def _milliseconds(seconds: float) -> int:
    # The broker counts in 32 bits.
    return min(max(1, math.ceil(seconds * 1000)), 2**32 - 1)


class Declarer:
    """Declares what is needed over a line of its own, since the broker closes one with every refusal."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._line: Line | None = None
        self._turn = asyncio.Lock()
        # Until when each queue is sure to be there, by the monotonic clock.
        self._sure: dict[str, float] = {}
        self._told: set[str] = set()

    async def queue(self, name: str, arguments: Mapping[str, Any]) -> None:
        """Have a queue. One that was declared otherwise, before a setting was changed, is used as it is."""
        now = time.monotonic()
        if self._sure.get(name, 0.0) > now:
            return
        try:
            await self.ask("queue_declare", queue=name, durable=True, arguments=dict(arguments))
        except Refused as error:
            if error.code != _PRECONDITION_FAILED:
                raise
            if name not in self._told:
                self._told.add(name)
                logger.warning(
                    "The broker has the queue %s with other settings, which count until it is deleted, or unused for a "
                    "while: %s",
                    name,
                    error,
                )
        if len(self._sure) > 10_000:
            # Names with a random end come and go.
            self._sure = {known: until for known, until in self._sure.items() if until > now}
        self._sure[name] = now + arguments["x-expires"] / 4000

    async def bound_queue(self, name: str, arguments: Mapping[str, Any], exchange: str, key: str) -> None:
        """Have a queue, and have an exchange lead to it."""
        await self.queue(name, arguments)
        try:
            await self.ask("queue_bind", queue=name, exchange=exchange, routing_key=key)
        except Refused as error:
            if error.code != NOT_FOUND:
                raise
            # Others have removed what was there.
            self.forget(name)
            await self.exchanges(exchange)
            await self.queue(name, arguments)
            await self.ask("queue_bind", queue=name, exchange=exchange, routing_key=key)

    async def exchanges(self, *names: str) -> None:
        """Have exchanges."""
        for name in names:
            kind = "fanout" if name.endswith("dead") else "direct"
            await self.ask("exchange_declare", exchange=name, exchange_type=kind, durable=True)

    async def count(self, name: str) -> int | None:
        """Return how many messages wait in a queue, None if it is not there."""
        found = await self.look(name)
        return None if found is None else int(found.message_count)

    async def look(self, name: str) -> Any:
        """Return what the broker says of a queue, None if it is not there."""
        try:
            return await self.ask("queue_declare", queue=name, passive=True)
        except Refused as error:
            if error.code != NOT_FOUND:
                raise
            return None

    async def remove(self, name: str, if_empty: bool = False) -> bool:
        """Delete a queue; return whether it is gone, which ``if_empty`` one that is not empty is not."""
        self.forget(name)
        try:
            await self.ask("queue_delete", queue=name, if_empty=if_empty)
        except Refused as error:
            return error.code == NOT_FOUND
        return True

    def forget(self, name: str) -> None:
        """Be no longer sure that a queue is there."""
        self._sure.pop(name, None)

    def forget_all(self) -> None:
        """Be sure of nothing: the connection was lost."""
        self._sure.clear()
        self._line = None

    async def ask(self, method: str, **arguments: Any) -> Any:
        """Ask the broker, alone: a refusal must not hit others. Raises ``Refused``."""
        async with self._turn:
            if self._line is None or not self._line.is_open:
                self._line = await self._link.line()
            return await self._line.ask(method, **arguments)
