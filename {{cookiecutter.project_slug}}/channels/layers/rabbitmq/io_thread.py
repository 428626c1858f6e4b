"""
The thread in which a process talks to the broker, and all that is done there.

A thread of its own means that the heart beats while consumers work, and that threads and event loops are served by the
same code.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import weakref
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from ...values.names import queue_of
from ..base import BaseChannelLayer, Lease, Send, UnderWay
from ..statistics import Statistics
from .addresses import Address
from .batches import Answer, Batches, Gathered, silence
from .broker import Broker
from .connection import Refused, for_users
from .consumers import Consumers, Waiter
from .figures import Figures
from .memberships import Memberships
from .process_queues import ProcessQueue
from .topology import Names
from .wills import Wills
from .workers import Workers

T = TypeVar("T")

# What the broker may take to answer, in seconds.
ANSWER_TIMEOUT = 5.0
# For a last word over connections that end, in seconds.
_FAREWELL = 0.2


class IOThread:
    """The I/O thread of a layer in one process."""

    def __init__(
        self, layer: BaseChannelLayer, statistics: Statistics, names: Names, addresses: Sequence[Address]
    ) -> None:
        self.process = os.getpid()
        self._loop = asyncio.new_event_loop()
        # The thread must not keep a layer alive that nobody uses any more.
        self._broker = broker = Broker(weakref.proxy(layer), statistics, names, addresses, self._loop)
        self.memberships = Memberships(broker)
        self.consumers = Consumers(broker)
        self.workers = Workers(broker)
        self.figures = Figures(broker, self.consumers, self.memberships)
        self.wills = Wills(broker, self.consumers)
        self.batches = Batches(broker, self.memberships, self.wills)
        self.process_queues: dict[str, ProcessQueue] = {}
        self._gathered: dict[asyncio.AbstractEventLoop, Gathered] = {}
        # Its queues are declared over the other connection.
        broker.reading.on_open = self._watch
        self._thread = threading.Thread(target=self._run, name="rabbitmq", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._broker.start(self._broker.publishing.keep())
        self._broker.start(self._broker.reading.keep())
        self._loop.run_forever()
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.close()

    def end(self) -> None:
        """End the thread: the layer is not used any more."""
        if self.process == os.getpid():
            with contextlib.suppress(RuntimeError):
                self._broker.post(self._end)

    def _end(self) -> None:
        self._broker.end()
        # The connections have said goodbye by then.
        self._loop.call_later(_FAREWELL, self._loop.stop)

    async def _watch(self) -> None:
        self._broker.start(self.wills.watch())

    # For other threads

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Have the I/O thread do something, and wait for it."""
        return self._begin(work).result()

    async def run_async(self, work: Coroutine[Any, Any, T]) -> T:
        """Do so on an event loop. What has begun goes on when its caller is cancelled."""
        return await asyncio.shield(asyncio.wrap_future(self._begin(work)))

    def _begin(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(_translated(work), self._loop)

    def wait(self, waiter: Waiter, timeout: float | None) -> None:
        """Give this thread the next message of some channels, or wait until the time is over."""
        self._broker.post(self.consumers.enlist, waiter)
        self.consumers.wait(waiter, timeout)

    def take_turn(self, batch: Sequence[Send], waiter: Waiter, timeout: float) -> Answer:
        """Do so, and send a batch meanwhile; where something is refused, nobody waits for a message."""
        answer = Answer()
        self._broker.post(self._begin_turn, batch, waiter, answer)
        # Where messages wait, one is here before the answer: then the thread is woken once, and not for each.
        self.consumers.wait(waiter, timeout, lambda: answer.wait(ANSWER_TIMEOUT))
        return answer

    def _begin_turn(self, batch: Sequence[Send], waiter: Waiter, answer: Answer) -> None:
        def done(refused: Sequence[Send], error: Exception | None) -> None:
            answer.tell(refused, error)
            if refused or error is not None:
                self.consumers.end(waiter)

        self.batches.begin([batch], done)
        self.consumers.enlist(waiter)

    def gathered(self) -> Gathered:
        """Return what gathers the sends of the event loop that runs here."""
        loop = asyncio.get_running_loop()
        gathered = self._gathered.get(loop)
        if gathered is None:
            for ended in [known for known in list(self._gathered) if known.is_closed()]:
                self._gathered.pop(ended, None)
            gathered = self._gathered[loop] = Gathered(self._broker, self.batches, loop, ANSWER_TIMEOUT)
        return gathered

    async def reader_of(self, queue: str) -> ProcessQueue:
        """Return, on an event loop, a process queue that is read here."""
        reader = self.process_queues.get(queue)
        return await self.run_async(self._reader_of(queue)) if reader is None else reader

    async def want(self, reader: ProcessQueue) -> None:
        """Wait, on an event loop, until there is something to read in a process queue."""
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[None] = loop.create_future()
        self._broker.post(reader.want, loop, woken)
        await woken

    # In the I/O thread

    async def _reader_of(self, queue: str) -> ProcessQueue:
        return self._process_queue(queue)

    def _process_queue(self, queue: str) -> ProcessQueue:
        if queue not in self.process_queues:
            self.process_queues[queue] = ProcessQueue(self._broker, queue, self.memberships, self.workers.hear)
        return self.process_queues[queue]

    def _drop_process_queue(self, queue: str) -> None:
        reader = self.process_queues.pop(queue, None)
        if reader is not None:
            reader.close()

    async def renew_lease(self, queue: str) -> Lease:
        """Say that this process is alive; return what was known of it."""
        lease = await self.wills.renew(queue)
        if lease is Lease.LOST:
            self._drop_process_queue(queue)
        return lease

    async def end_lease(self, queue: str) -> None:
        """Leave nothing of this process behind at the broker."""
        self._drop_process_queue(queue)
        await self.wills.end(queue)

    async def find_lost(self, under_way: Sequence[UnderWay]) -> list[UnderWay]:
        """Return those of some messages that neither wait in a channel nor are with a worker that lives."""
        await self._broker.reading.ready()
        ages = {channel: await self.figures.oldest(channel) for channel in {message.channel for message in under_way}}
        for queue in {queue_of(message.reply_channel) for message in under_way}:
            await self._process_queue(queue).look()
        return self.workers.lost(under_way, ages)

    async def group_channels(self, group: str) -> list[str]:
        """Return the channels that this process knows to be in a group."""
        await self.figures.count_dead()
        await self.memberships.drop_lapsed(group)
        return self.memberships.known.channels(group)

    async def channel_statistics(self, channel: str) -> dict[str, Any]:
        """Return what this process has counted of a channel, and what waits in it."""
        await self.figures.count_dead()
        return self._broker.statistics.of_channel(channel, *await self.figures.pending(queue_of(channel)))

    async def global_statistics(self) -> dict[str, Any]:
        """Return the same figures summed over all channels that this process has used."""
        await self.figures.count_dead()
        waiting = [await self.figures.pending(channel) for channel in list(self._broker.used)]
        oldest = max((age for _, age in waiting), default=0.0)
        return self._broker.statistics.of_all(sum(count for count, _ in waiting), oldest)

    async def flush(self) -> None:
        """Empty all queues that this process has used, and remove all groups."""
        broker, names = self._broker, self._broker.names
        await broker.publishing.ready()
        for channel in list(broker.used):
            queues = [names.queue(channel), *([names.members(channel)] if channel.endswith("!") else [])]
            for queue in queues:
                with contextlib.suppress(Refused):
                    await broker.declarer.ask("queue_purge", queue=queue)
        await broker.declarer.ask("exchange_delete", exchange=names.groups)
        await broker.declarer.exchanges(names.groups)
        self.consumers.drop_all()
        for reader in self.process_queues.values():
            reader.drop_all()
        self.memberships.forget_all()
        self.wills.lose_data()


async def _translated(work: Coroutine[Any, Any, T]) -> T:
    """Do some work, and have the layer's exceptions come out of it."""
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT):
            return await work
    except Refused as error:
        raise for_users(error) from error
    except TimeoutError as error:
        raise silence(ANSWER_TIMEOUT) from error
