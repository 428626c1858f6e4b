"""
Keep the last wills of connections, and notice when their process is gone.

The wills of a process lie in a queue of its own. The process is its only reader, and acknowledges a will when it is
void; so the broker gives all others back when the process is gone. That alone means little, for connections are cut and
come back. So the process puts a word into another queue every few seconds, which dies there if no other one comes: the
broker then gives it to somebody who uses the layer, who looks once more whether the process has come back, and carries
the wills out.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from ...exceptions import ChannelLayerUnavailable
from ..base import Lease, Send
from ..envelope import packed_send
from .broker import Broker
from .connection import Line, Refused, give
from .consumers import Consumers
from .publisher import Outcome
from .topology import kept_queue, lease_queue

logger = logging.getLogger(__name__)

# A process whose lease has died may still renew it within so many seconds: perhaps the broker was away.
SECOND_CHANCE = 2.5
# Where wills cannot be carried out, for a full channel say, it is tried again after so many seconds.
AGAIN = 0.5


class Wills:
    """The wills and the lease of this process, and those of others that have died; for the I/O thread alone."""

    def __init__(self, broker: Broker, consumers: Consumers) -> None:
        self._broker = broker
        self._consumers = consumers
        self._own: dict[str, _OwnWills] = {}
        # The process queues whose lease this process has at the broker.
        self._leases: set[str] = set()

    def _of(self, queue: str) -> _OwnWills:
        if queue not in self._own:
            self._own[queue] = _OwnWills(self._broker, queue)
        return self._own[queue]

    async def set(self, queue: str, local: str, will: Send) -> asyncio.Future[Outcome]:
        """Keep the last will of a connection; return what the broker will say to that."""
        return await self._of(queue).set(local, will)

    def forget(self, queue: str, local: str) -> None:
        """Forget the last will of a connection."""
        if queue in self._own:
            self._own[queue].forget(local)

    async def set_some(self, queue: str, wills: Iterable[tuple[str, Send | None]]) -> None:
        """Do either for several connections."""
        await self._broker.publishing.ready()
        told = []
        for local, will in wills:
            if will is None:
                self.forget(queue, local)
            else:
                told.append(await self.set(queue, local, will))
        if any(outcome is not Outcome.TAKEN for outcome in await asyncio.gather(*told)):
            raise ChannelLayerUnavailable("The broker has not taken the last wills of some connections.")

    # The lease

    async def renew(self, queue: str) -> Lease:
        """Say that this process is alive; return what was known of it."""
        broker = self._broker
        await broker.publishing.ready()
        lease = broker.names.lease(queue)
        is_new = queue not in self._leases
        if is_new:
            await broker.declarer.queue(lease, lease_queue(broker.names))
            await self._of(queue).open()
        elif self._of(queue).has_lost:
            # The connection was lost, and with it perhaps what the broker had.
            is_new = await self._of(queue).is_short()
        outcome = await broker.published("", lease, queue.encode())
        if outcome is Outcome.NO_QUEUE:
            self._leases.discard(queue)
            broker.declarer.forget(lease)
            if await broker.declarer.count(broker.names.ended(queue)) is not None:
                self._drop(queue)
                return Lease.LOST
            return await self.renew(queue)
        if outcome is not Outcome.TAKEN:
            raise ChannelLayerUnavailable("The broker was not told that this process lives.")
        if (await broker.declarer.count(lease) or 0) > 1:
            # The word from before, which has to go before it dies.
            await self._consumers.pull(lease)
        self._leases.add(queue)
        return Lease.NEW if is_new else Lease.KEPT

    async def end(self, queue: str) -> None:
        """Leave nothing behind: consumers have been told of the end of all connections."""
        broker = self._broker
        await broker.publishing.ready()
        await broker.declarer.remove(broker.names.lease(queue))
        self._drop(queue)
        for name in broker.names.wills(queue), broker.names.queue(queue), broker.names.members(queue):
            await broker.declarer.remove(name)

    def _drop(self, queue: str) -> None:
        self._leases.discard(queue)
        own = self._own.pop(queue, None)
        if own is not None:
            own.close()

    def lose_data(self) -> None:
        """Take note that everything was removed from the layer."""
        self._leases.clear()

    # Those of others

    async def watch(self) -> None:
        """Be told of leases that have died."""
        broker = self._broker
        await broker.publishing.ready()
        await broker.declarer.queue(broker.names.leases, kept_queue())
        line = await broker.reading.line()
        await line.ask("basic_qos", prefetch_count=1)

        def take(raw: Any, method: Any, properties: Any, body: bytes) -> None:
            broker.start(self._execute(line, method.delivery_tag, body.decode()))

        await line.ask("basic_consume", queue=broker.names.leases, on_message_callback=take)

    async def _execute(self, line: Line, number: int, queue: str) -> None:
        """Carry out the wills of a process that has not come back; where that fails, somebody begins anew."""
        try:
            await asyncio.sleep(SECOND_CHANCE)
            await self._speak_for(queue)
        except Exception:
            if line.is_open:
                line.raw.basic_nack(number)
            raise
        if line.is_open:
            line.raw.basic_ack(number)

    async def _speak_for(self, queue: str) -> None:
        broker, names = self._broker, self._broker.names
        await broker.declarer.queue(names.ended(queue), kept_queue())
        if await broker.declarer.remove(names.lease(queue), if_empty=True):
            told = 0
            while left := await self._carry_out(queue):
                told += left.told
                if not left.more:
                    break
                await asyncio.sleep(AGAIN)
            text = "Interface process %s has died; consumers hear of the end of %d connections"
            logger.warning(text, queue, told)
            for name in names.queue(queue), names.members(queue), names.wills(queue):
                await broker.declarer.remove(name)
        else:
            await broker.declarer.remove(names.ended(queue))

    async def _carry_out(self, queue: str) -> _Left | None:
        """Send the wills that the broker has got back; None if it has no queue for them."""
        broker = self._broker
        name = broker.names.wills(queue)
        found = await broker.declarer.look(name)
        if found is None:
            return None
        if found.consumer_count:
            # The process stands still, and its connection is not over yet.
            return _Left(0, True)
        line, wills = await broker.reading.line(), defaultdict[str, list[Any]](list)

        def take(raw: Any, method: Any, properties: Any, body: bytes) -> None:
            wills[properties.headers["l"]].append((method.delivery_tag, properties.headers["c"], body))

        try:
            await line.ask("basic_consume", queue=name, on_message_callback=take)
            # The broker answers behind what it has sent before.
            while (await line.ask("queue_declare", queue=name, passive=True)).message_count:
                pass
            # The last one of each connection counts.
            sent = await asyncio.gather(*(self._send(*versions[-1][1:]) for versions in wills.values()))
            for versions, is_sent in zip(wills.values(), sent, strict=True):
                for number, *_ in versions if is_sent else ():
                    line.raw.basic_ack(number)
        finally:
            # What was not acknowledged is given back.
            line.close()
        return _Left(sum(sent), not all(sent))

    async def _send(self, channel: str, body: bytes) -> bool:
        broker, outcome = self._broker, Outcome.NO_QUEUE
        # One that cannot be sent now must not have others sent again.
        with contextlib.suppress(ChannelLayerUnavailable, Refused):
            for _ in range(2):
                outcome = await broker.published("", broker.names.queue(channel), body)
                if outcome is not Outcome.NO_QUEUE:
                    break
                broker.declarer.forget(broker.names.queue(channel))
                await broker.have_queue(channel)
        if outcome is Outcome.TAKEN:
            broker.statistics.count_sent(channel)
        return outcome is Outcome.TAKEN


class _Left(NamedTuple):
    """How many wills were sent, and whether there are more."""

    told: int
    more: bool


class _OwnWills:
    """The wills of the connections of this process, which the broker holds as long as it lives."""

    def __init__(self, broker: Broker, queue: str) -> None:
        self._broker = broker
        self._queue = queue
        self._line: Line | None = None
        self._opening = asyncio.Lock()
        self._count = 0
        # Of each connection, the number of its will, and, once the broker has given it to us, by what it is void.
        self._numbers: dict[str, int] = {}
        self._tags: dict[str, int] = {}
        self.has_lost = False

    async def open(self) -> None:
        """Have the queue, and be its reader."""
        async with self._opening:
            if self._line is not None and self._line.is_open:
                return
            broker, name = self._broker, self._broker.names.wills(self._queue)
            await broker.reading.ready()
            await broker.declarer.queue(name, kept_queue())
            self._line = line = await broker.reading.line(self._lose)
            await line.ask("basic_consume", queue=name, on_message_callback=self._take)

    async def set(self, local: str, will: Send) -> asyncio.Future[Outcome]:
        """Keep a will, instead of the one before."""
        await self.open()
        self._count += 1
        number = self._numbers[local] = self._count
        broker = self._broker
        body = broker.stamps.put_on(packed_send(will, broker.layer.max_message_size))
        headers = {"l": local, "c": will.name, "n": number}
        told: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        name = broker.names.wills(self._queue)
        broker.publisher.publish("", name, body, lambda outcome: give(told, outcome), headers=headers)
        return told

    def forget(self, local: str) -> None:
        """Forget a will."""
        self._numbers.pop(local, None)
        self._void(local)

    def _take(self, raw: Any, method: Any, properties: Any, body: bytes) -> None:
        local = properties.headers["l"]
        if self._numbers.get(local) != properties.headers["n"]:
            raw.basic_ack(method.delivery_tag)
            return
        self._void(local)
        self._tags[local] = method.delivery_tag

    def _void(self, local: str) -> None:
        number = self._tags.pop(local, None)
        if number is not None and self._line is not None and self._line.is_open:
            self._line.raw.basic_ack(number)

    async def is_short(self) -> bool:
        """Say whether the broker has fewer wills than it should, now that the connection is back."""
        await self.open()
        self.has_lost = False
        if self._line is not None:
            # It answers behind all that it gives to us again.
            await self._line.ask("queue_declare", queue=self._broker.names.wills(self._queue), passive=True)
        return len(self._tags) < len(self._numbers)

    def _lose(self) -> None:
        self._tags.clear()
        self.has_lost = True
        self._broker.declarer.forget(self._broker.names.wills(self._queue))

    def close(self) -> None:
        """Give all wills back to the broker."""
        if self._line is not None:
            self._line.close()
