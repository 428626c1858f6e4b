"""
What one process has at the broker: two connections, and all that goes over them, in a thread of its own.

A thread of its own means that the heart beats while consumers work, and that threads and event loops are served by the
same code. What is published has a connection apart from what is read: the broker stops reading from connections that
publish while it is short of memory or disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
import weakref
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from ...exceptions import ChannelLayerUnavailable
from ..base import Delivery, Entry, Send
from ..envelope import UnreadableEntry, unpack
from .addresses import Address
from .batches import Batches
from .connection import Link, Refused, give
from .consumers import Consumers, Waiter
from .dead import DeadMessages
from .gathered import Gathered
from .memberships import Memberships
from .process_queues import ProcessQueue
from .publisher import Outcome, Publisher
from .stamps import Stamps, age_of
from .topology import Declarer, Limits, Names, members_queue, message_queue
from .wills import Wills
from .workers import Workers

if TYPE_CHECKING:
    from .layer import RabbitmqChannelLayer

logger = logging.getLogger(__name__)

T = TypeVar("T")

# What the broker may take to answer, in seconds.
ANSWER_TIMEOUT = 5.0
# For a last word over connections that end, in seconds.
_FAREWELL = 0.2
# As many names of queues are remembered, for a flush.
USED = 10_000


class Answer:
    """What a thread will hear of its batch."""

    def __init__(self) -> None:
        self.refused: Sequence[Send] = ()
        self.error: Exception | None = None
        self._told = threading.Event()

    def tell(self, refused: Sequence[Send], error: Exception | None) -> None:
        """Tell it."""
        self.refused, self.error = refused, error
        self._told.set()

    def wait(self) -> None:
        """Wait for it."""
        if not self._told.wait(ANSWER_TIMEOUT):
            text = f"The broker has not answered for {ANSWER_TIMEOUT:.0f} s."
            self.error = ChannelLayerUnavailable(text, uncertain=True)


class Core:
    """The I/O thread of a layer in one process."""

    def __init__(self, layer: RabbitmqChannelLayer, addresses: Sequence[Address], names: Names) -> None:
        # The thread must not keep a layer alive that nobody uses any more.
        self.layer: RabbitmqChannelLayer = weakref.proxy(layer)
        self.names = names
        self.limits = Limits(layer.expiry, layer.group_expiry)
        self.process = os.getpid()
        # The channels and process queues that this process has used.
        self.used: dict[str, None] = {}
        self.process_queues: dict[str, ProcessQueue] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loop = asyncio.new_event_loop()
        self._gathered: dict[asyncio.AbstractEventLoop, Gathered] = {}
        self.stamps = Stamps()
        self.publishing = Link(
            addresses, self._open_publishing, lambda: self.publisher.lose(), lambda: self.publisher.give_up()
        )
        self.reading = Link(addresses, self._open_reading)
        self.publisher = Publisher(self.publishing)
        self.declarer = Declarer(self.publishing)
        self.batches = Batches(self)
        self.consumers = Consumers(self)
        self.memberships = Memberships(self)
        self.workers = Workers(self)
        self.wills = Wills(self)
        self.dead = DeadMessages(self)
        self._thread = threading.Thread(target=self._run, name="rabbitmq", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self.start(self.publishing.keep())
        self.start(self.reading.keep())
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
                self.post(self._end)

    def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        for link in self.publishing, self.reading:
            link.close()
        # They have said goodbye by then.
        self._loop.call_later(_FAREWELL, self._loop.stop)

    async def _open_publishing(self) -> None:
        await self.publisher.open()
        self.declarer.forget_all()
        await self.declarer.exchanges(self.names.groups, self.names.dead_letters)
        await self.dead.declare()

    async def _open_reading(self) -> None:
        # Its queues are declared over the other one.
        self.start(self._watch())

    async def _watch(self) -> None:
        await self.publishing.ready()
        await self.wills.watch()

    # From other threads

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Have the I/O thread do something, and wait for it."""
        return self.begin(work).result()

    async def run_async(self, work: Coroutine[Any, Any, T]) -> T:
        """Do so on an event loop. What has begun goes on when its caller is cancelled."""
        return await asyncio.shield(asyncio.wrap_future(self.begin(work)))

    def begin(self, work: Coroutine[Any, Any, T], timeout: float | None = ANSWER_TIMEOUT) -> Future[T]:
        """Have the I/O thread do something."""
        return asyncio.run_coroutine_threadsafe(_translated(work, timeout), self._loop)

    def post(self, call: Callable[..., object], *arguments: Any) -> None:
        """Have the I/O thread call something."""
        self._loop.call_soon_threadsafe(call, *arguments)

    def gathered(self) -> Gathered:
        """Return what gathers the sends of the loop that runs here."""
        loop = asyncio.get_running_loop()
        gathered = self._gathered.get(loop)
        if gathered is None:
            for ended in [known for known in list(self._gathered) if known.is_closed()]:
                self._gathered.pop(ended, None)
            gathered = self._gathered[loop] = Gathered(self, loop, ANSWER_TIMEOUT)
        return gathered

    # In the I/O thread

    def begin_turn(self, batch: Sequence[Send], waiter: Waiter, answer: Answer) -> None:
        """Send a batch, and give a thread the next message; where something is refused, it waits for none."""

        def done(refused: Sequence[Send], error: Exception | None) -> None:
            answer.tell(refused, error)
            if refused or error is not None:
                self.consumers.end(waiter)

        self.batches.begin(batch, done)
        self.consumers.enlist(waiter)

    def start(self, work: Coroutine[Any, Any, Any]) -> None:
        """Begin something that nobody waits for."""
        task = self._loop.create_task(_unattended(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def published(self, exchange: str, key: str, body: bytes, kind: str = "") -> Outcome:
        """Publish a single message, and return what has become of it."""
        await self.publishing.ready()
        self.publisher.check()
        told: asyncio.Future[Outcome] = self._loop.create_future()
        self.publisher.publish(exchange, key, body, lambda outcome: give(told, outcome), kind)
        return await told

    def process_queue(self, queue: str) -> ProcessQueue:
        """Return a process queue that is read here."""
        if queue not in self.process_queues:
            self.process_queues[queue] = ProcessQueue(self, queue)
        return self.process_queues[queue]

    async def reader_of(self, queue: str) -> ProcessQueue:
        """Return a process queue that is read here, to another thread."""
        return self.process_queue(queue)

    def drop_process_queue(self, queue: str) -> None:
        """Read a process queue no longer."""
        reader = self.process_queues.pop(queue, None)
        if reader is not None:
            reader.close()

    def message_queue(self, channel: str) -> dict[str, Any]:
        """Return the arguments of the queue for a channel or a process queue."""
        return message_queue(self.limits, self.layer.get_capacity(channel), self.names)

    async def have_queue(self, channel: str) -> None:
        """Have the queue for a channel or a process queue."""
        await self.publishing.ready()
        self.use(channel)
        await self.declarer.queue(self.names.queue(channel), self.message_queue(channel))

    async def have_members(self, queue: str) -> None:
        """Have the queue for what the reader of a process queue is told beside its messages."""
        await self.publishing.ready()
        await self.declarer.queue(self.names.members(queue), members_queue(self.limits))

    def use(self, channel: str) -> None:
        """Remember that this process uses a channel."""
        self.used[channel] = None
        if len(self.used) > USED:
            del self.used[next(iter(self.used))]

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
            self.layer.statistics.count_dropped(channel, "unreadable", str(error))
            return None

    @staticmethod
    def refusal(error: Refused) -> ChannelLayerUnavailable:
        """Return what a refusal is for whoever uses the layer."""
        return ChannelLayerUnavailable(f"The broker refuses: {error}")

    async def oldest(self, channel: str) -> float | None:
        """Return for how many seconds the first message of a channel has waited, None if there is none."""
        found = await self.consumers.pull(self.names.queue(channel), put_back=True)
        return None if found is None else age_of(self.stamps.take_off(found[0])[0])

    async def pending(self, channel: str) -> tuple[int, float]:
        """Return how many messages wait in a channel, and for how long the first of them has."""
        await self.publishing.ready()
        count = await self.declarer.count(self.names.queue(channel)) or 0
        return count, (await self.oldest(channel) or 0.0) if count else 0.0

    async def flush(self) -> None:
        """Empty all queues that this process has used, and remove all groups."""
        await self.publishing.ready()
        for channel in list(self.used):
            names = [self.names.queue(channel)]
            if channel.endswith("!"):
                names.append(self.names.members(channel))
            for name in names:
                with contextlib.suppress(Refused):
                    await self.declarer.ask("queue_purge", queue=name)
        await self.declarer.ask("exchange_delete", exchange=self.names.groups)
        await self.declarer.exchanges(self.names.groups)
        self.consumers.drop_all()
        for reader in self.process_queues.values():
            reader.drop_all()
        self.memberships.known.clear()
        self.wills.lose_data()


async def _translated(work: Coroutine[Any, Any, T], timeout: float | None) -> T:
    """Do some work, and have the layer's exceptions come out of it."""
    try:
        async with asyncio.timeout(timeout):
            return await work
    except Refused as error:
        raise Core.refusal(error) from error
    except TimeoutError as error:
        raise ChannelLayerUnavailable(f"The broker has not answered for {timeout:.0f} s.", uncertain=True) from error


async def _unattended(work: Coroutine[Any, Any, Any]) -> None:
    try:
        await work
    except (ChannelLayerUnavailable, Refused) as error:
        logger.debug("Something was not done, since the connection was lost: %s", error)
    except Exception:
        logger.exception("Something in the I/O thread has failed")
