"""
Read a process queue: its messages, and what its reader is told of memberships and of workers, in their order.

What a reader is told beside messages comes at once, whether somebody reads or not. Messages are taken only while
somebody does, unless the queue is so large that what is on its way here makes no difference to its capacity.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from ..base import Entry
from .broker import Broker
from .connection import Line, call_in, for_users
from .memberships import Memberships

# So many seconds lie between two batches, at least.
GAP = 0.003
# As many messages are on their way here at once.
PREFETCH = 100


class ProcessQueue:
    """The process queue that this process reads; for the I/O thread, but for ``entries``."""

    def __init__(self, broker: Broker, name: str, memberships: Memberships, hear: Callable[[str, bytes], None]) -> None:
        self._broker = broker
        self._memberships = memberships
        # Takes in what a worker process says of what it has.
        self._hear = hear
        self._name = name
        self._line: Line | None = None
        self._opening = asyncio.Lock()
        self._tag = f"{name}.{id(self):x}"
        self._is_attached = False
        self._stays = broker.layer.get_capacity(name) >= 10 * PREFETCH
        self._messages: deque[tuple[int, Entry]] = deque()
        self._changes: deque[tuple[int, Entry]] = deque()
        # The number of the last message that has come, by which all are acknowledged.
        self._last = 0
        self._arrived = asyncio.Event()
        # The loops that wait for something to read, with what tells them.
        self._wanting: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self._is_reading = False
        self._read_at = 0.0
        # What the reader may take: single operations on a deque are atomic.
        self.entries: deque[Entry] = deque()

    def want(self, loop: asyncio.AbstractEventLoop, woken: asyncio.Future[None]) -> None:
        """Wake somebody when there are ``entries``, or when none can come. What is read is there for others, too."""
        self._wanting.append((loop, woken))
        if not self._is_reading:
            self._is_reading = True
            self._broker.start(self._read_for_all())

    async def _read_for_all(self) -> None:
        error: Exception | None = None
        try:
            await self._read()
        except Exception as failure:
            error = for_users(failure)
        self._is_reading = False
        wanting, self._wanting = self._wanting, []
        for loop, woken in wanting:
            call_in(loop, _wake, woken, error)

    async def _read(self) -> None:
        """Wait until there are entries."""
        while not self.entries:
            line = await self.open()
            if not self._is_attached:
                self._is_attached = True
                await line.consume(self._broker.names.queue(self._name), self._tag, self._take_message)
                # Its reader hears nothing before there is something to read.
                self._broker.layer.outage.is_over("reads")
            if not self._messages and not self._changes:
                await self._arrived.wait()
            await self._keep_pace()
            self._arrived.clear()
            if self._changes:
                # Messages that were sent before them may still be on their way.
                await line.ask("queue_declare", queue=self._broker.names.queue(self._name), passive=True)
            if not self._stays:
                self._is_attached = False
                await line.cancel(self._tag)
            self._settle(line)

    async def _keep_pace(self) -> None:
        """Come back no sooner than that: where there is much to read, it comes in batches."""
        loop = asyncio.get_running_loop()
        left = self._read_at + GAP - loop.time()
        if left > 0:
            await asyncio.sleep(left)
        self._read_at = loop.time()

    def _settle(self, line: Line) -> None:
        # Unless there is more, all that came before the changes has come.
        is_all = len(self._messages) < PREFETCH
        if self._last and line.is_open:
            line.acknowledge(self._last, multiple=True)
        self._last = 0
        entries = list(self._in_order(is_all))
        count = sum(entry.is_message for entry in entries)
        if count:
            self._broker.statistics.count_received(self._name, count)
        self.entries.extend(entries)

    def _in_order(self, is_all: bool) -> Iterator[Entry]:
        messages, changes = self._messages, self._changes
        while messages:
            stamp, entry = messages.popleft()
            while changes and changes[0][0] < stamp:
                yield changes.popleft()[1]
            yield entry
        while is_all and changes:
            yield changes.popleft()[1]

    async def look(self) -> None:
        """Return when all that its reader was told before has come."""
        await self._drain_changes(await self.open())

    async def _drain_changes(self, line: Line) -> None:
        # The broker answers behind what it has sent before.
        members = self._broker.names.members(self._name)
        while (await line.ask("queue_declare", queue=members, passive=True)).message_count:
            pass

    async def open(self) -> Line:
        """Return the line, and be told of memberships from now on."""
        await self._broker.reading.ready()
        async with self._opening:
            if self._line is None or not self._line.is_open:
                await self._broker.have_queue(self._name)
                await self._broker.have_members(self._name)
                line = await self._broker.reading.line(self.lose)
                await line.ask(
                    "basic_consume",
                    queue=self._broker.names.members(self._name),
                    on_message_callback=self._take_change,
                )
                # From now on a change is here before any message that is sent after it.
                await self._drain_changes(line)
                await line.ask("basic_qos", prefetch_count=PREFETCH)
                line.raw.add_on_cancel_callback(lambda frame: line.close())
                self._line = line
            return self._line

    def lose(self) -> None:
        """Begin anew: the connection was lost, or a queue. What has come and was not acknowledged comes again."""
        self._messages.clear()
        self._is_attached, self._last = False, 0
        self._memberships.be_unsure(self._name)
        for name in self._broker.names.queue(self._name), self._broker.names.members(self._name):
            self._broker.declarer.forget(name)
        self._arrived.set()

    def close(self) -> None:
        """Read it no longer."""
        if self._line is not None:
            self._line.close()

    def drop_all(self) -> None:
        """Forget what has come and was not read."""
        self._messages.clear()
        self._changes.clear()
        self.entries.clear()

    def _take_message(self, number: int, body: bytes) -> None:
        self._last = number
        if read := self._broker.entry(self._name, body):
            self._messages.append(read)
        # One that cannot be read is acknowledged with the others: the broker closes the line over a second time.
        self._arrived.set()

    def _take_change(self, raw: Any, method: Any, properties: Any, body: bytes) -> None:
        raw.basic_ack(method.delivery_tag)
        if properties.type == "has":
            self._hear(self._name, self._broker.stamps.take_off(body)[1])
        elif read := self._broker.entry(self._name, body):
            self._changes.append(read)
            self._memberships.told(self._name, read[1])
            self._arrived.set()


def _wake(woken: asyncio.Future[None], error: Exception | None) -> None:
    if woken.done():
        return
    if error is None:
        woken.set_result(None)
    else:
        woken.set_exception(error)
