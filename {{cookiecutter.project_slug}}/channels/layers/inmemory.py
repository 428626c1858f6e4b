"""
The layer within one process: for development, for tests, and for small sites that run as one process.

Interface server and workers are threads that share one instance. A lock guards all state; whoever waits for a
message leaves a waiter at its channels, and a send wakes exactly one of them.
"""

from __future__ import annotations

import asyncio
import functools
import random
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

from ..values.names import local_part, queue_of, require_channel_name, require_group_name, require_readable_name
from ..values.turn import Turn
from .base import BaseChannelLayer, Content, Delivery, Entry, Send, UnderWay
from .content import copy_message
from .groups import Groups
from .statistics import Statistics

# Expired messages on channels that nobody reads or writes are swept out this often, in seconds.
SWEEP_INTERVAL = 10.0


class InMemoryChannelLayer(BaseChannelLayer):
    """
    A channel layer in the memory of this process, safe to use from any number of threads and event loops.

    It takes the arguments of ``BaseChannelLayer`` and has no others.
    """

    spans_processes: ClassVar[bool] = False

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.statistics: Statistics = Statistics(self.clock)
        # Reentrant: a signal handler may interrupt, and a discarded reader end, in a thread that holds it.
        self._lock = threading.RLock()
        self._queues: dict[str, _Queue] = {}
        self._groups = Groups()
        # The messages of lanes that workers have, as reply channel and number.
        self._taken: set[tuple[str, int | None]] = set()
        self._waiters: dict[str, dict[_Waiter, None]] = {}
        self._next_sweep = self.clock() + SWEEP_INTERVAL
        # The groups and the queues that the sweep under way has still to look at.
        self._unswept_groups: list[str] = []
        self._unswept_queues: list[str] = []

    # Sending

    def send_many(self, batch: Iterable[Send]) -> list[Send]:
        refused: list[Send] = []
        full: set[str] = set()
        with self._lock:
            self._sweep()
            for send in batch:
                if send.to_group:
                    self._broadcast(send.name, send.content)
                elif send.name in full or not self._push(send.name, _entry(send)):
                    full.add(send.name)
                    refused.append(send)
        return refused

    def _broadcast(self, group: str, content: Content) -> None:
        for queue in self._queues_of(group):
            own = content if queue.endswith("!") else copy_message(content, self.max_message_size)
            if not self._push(queue, Entry(group=group, content=own)):
                self.statistics.count_dropped(queue, "full, group message", self.describe_full(queue))

    def _push(self, channel: str, entry: Entry) -> bool:
        name = queue_of(channel)
        queue = self._living_queue(name) or _Queue()
        if entry.is_message:
            if queue.messages >= self.get_capacity(name):
                self.statistics.count_full(name)
                return False
            self.statistics.count_sent(name)
        if entry.finish is not None and entry.finish.number is not None:
            self._taken.discard((channel, entry.finish.number))
        self._queues[name] = queue
        queue.push(entry, self.clock())
        self._wake_one(name)
        return True

    # Receiving

    def take(self, channels: Sequence[str], timeout: float | None = 0.0) -> Delivery | None:
        names = [require_readable_name(channel) for channel in channels]
        with self._lock:
            delivery = self._take_any(names)
        if delivery is None and timeout != 0:
            delivery = self._wait(names, timeout)
        return delivery

    def send_and_take(
        self, batch: Sequence[Send], channels: Sequence[str], timeout: float, finished: str = ""
    ) -> tuple[list[Send], Delivery | None]:
        if finished:
            self.statistics.count_finished(finished)
        refused, delivery = super().send_and_take(batch, channels, timeout)
        if delivery is not None:
            self.statistics.count_begun(delivery.channel)
        return refused, delivery

    def _wait(self, names: Sequence[str], timeout: float | None) -> Delivery | None:
        woken = threading.Event()
        waiter = _Waiter(names, functools.partial(_wake_thread, woken))
        # A signal handler may raise anywhere in here, KeyboardInterrupt for example.
        try:
            with self._lock:
                self._enlist(waiter)
                delivery = self._take_any(names)
            if delivery is None:
                woken.wait(timeout)
                with self._lock:
                    delivery = self._take_any(names)
            return delivery
        finally:
            with self._lock:
                self._retire(waiter)

    def interrupt(self) -> None:
        with self._lock:
            for waiter in {waiter for waiters in self._waiters.values() for waiter in waiters}:
                self._delist(waiter)
                waiter.wake()

    def _take_any(self, names: Sequence[str]) -> Delivery | None:
        # Whichever comes first is served first: so each of them does, now and then.
        first = int(random.random() * len(names))
        for name in (*names[first:], *names[:first]):
            if delivery := self._take(name):
                return delivery
        return None

    def _take(self, name: str) -> Delivery | None:
        queue = self._living_queue(name)
        if queue is None:
            return None
        entry = queue.pop()
        self._settle(name, queue)
        self.statistics.count_received(name)
        content, ticket = entry.content or {}, entry.ticket
        if ticket is not None and ticket.number is not None:
            self._taken.add((content["reply_channel"], ticket.number))
        return Delivery(name, content, ticket)

    def _take_entries(self, name: str) -> list[Entry]:
        queue = self._living_queue(name)
        if queue is None:
            return []
        if queue.messages:
            self.statistics.count_received(name, queue.messages)
        entries = queue.pop_all()
        self._settle(name, queue)
        return entries

    # Groups

    def group_add(self, group: str, channel: str) -> None:
        require_group_name(group), require_channel_name(channel)
        with self._lock:
            self._join([(group, channel)])
            self._tell_reader(group, channel, joins=True)

    def group_discard(self, group: str, channel: str) -> None:
        require_group_name(group), require_channel_name(channel)
        with self._lock:
            self._groups.discard(group, channel)
            self._tell_reader(group, channel, joins=False)

    def group_channels(self, group: str) -> list[str]:
        with self._lock:
            self._queues_of(require_group_name(group))
            return self._groups.channels(group, self.clock())

    def _join(self, memberships: Iterable[tuple[str, str]]) -> None:
        lapses = self.clock() + self.group_expiry
        for group, channel in memberships:
            # What has expired before must not end the membership that begins now.
            self._living_queue(queue_of(channel))
            self._groups.add(group, channel, lapses)

    def _queues_of(self, group: str) -> list[str]:
        """Return the queues with members of a group, after those that nobody reads have left it."""
        for queue in self._groups.queues(group, self.clock()):
            self._living_queue(queue)
        return self._groups.queues(group, self.clock())

    def _tell_reader(self, group: str, channel: str, joins: bool) -> None:
        if local_part(channel):
            self._push(channel, Entry(local_part(channel), group, None, joins))

    # Looking after it

    def flush(self) -> None:
        with self._lock:
            self._queues.clear()
            self._groups = Groups()

    def channel_statistics(self, channel: str) -> dict[str, Any]:
        name = queue_of(require_channel_name(channel))
        with self._lock:
            queue = self._living_queue(name) or _Queue()
            return self.statistics.of_channel(name, queue.messages, queue.age(self.clock()))

    def global_statistics(self) -> dict[str, Any]:
        with self._lock:
            queues = [queue for name in list(self._queues) if (queue := self._living_queue(name))]
            ages = [queue.age(self.clock()) for queue in queues]
            return self.statistics.of_all(sum(queue.messages for queue in queues), max(ages, default=0.0))

    # What an interface server needs

    async def send_many_async(self, batch: Iterable[Send]) -> list[Send]:
        return self.send_many(batch)

    async def read_queue(self, queue: str) -> list[Entry]:
        loop = asyncio.get_running_loop()
        if queue in self._queues:
            # Where there is always more, nobody else on the loop would ever have a turn.
            await asyncio.sleep(0)
        while True:
            woken = loop.create_future()
            waiter = _Waiter([queue], functools.partial(_wake_loop, loop, woken))
            with self._lock:
                entries = self._take_entries(queue)
                if entries:
                    return entries
                self._enlist(waiter)
            try:
                await woken
            finally:
                with self._lock:
                    self._retire(waiter)

    async def leave_groups(self, queue: str, memberships: Iterable[tuple[str, str]]) -> None:
        with self._lock:
            for group, local in memberships:
                self._groups.discard(group, queue + local)

    async def renew_groups(self, queue: str, memberships: Iterable[tuple[str, str]]) -> None:
        with self._lock:
            self._join((group, queue + local) for group, local in memberships)

    async def find_lost(self, under_way: Sequence[UnderWay]) -> list[UnderWay]:
        with self._lock:
            # Of channels that nobody reads, nobody else would notice that their messages have expired.
            queues = {channel: self._living_queue(channel) for channel in {message.channel for message in under_way}}
            had = self._taken.union(*(queue.tickets() for queue in queues.values() if queue))
            return [message for message in under_way if (message.reply_channel, message.number) not in had]

    # Waiters; the lock is held

    def _enlist(self, waiter: _Waiter) -> None:
        for name in waiter.names:
            self._waiters.setdefault(name, {})[waiter] = None

    def _delist(self, waiter: _Waiter) -> None:
        for name in waiter.names:
            waiters = self._waiters.get(name)
            if waiters is not None:
                waiters.pop(waiter, None)
                if not waiters:
                    del self._waiters[name]

    def _retire(self, waiter: _Waiter) -> None:
        """Take a waiter out; for what it leaves on its channels, others may be waiting."""
        self._delist(waiter)
        for name in waiter.names:
            if name in self._queues:
                self._wake_one(name)

    def _wake_one(self, name: str) -> None:
        while waiters := self._waiters.get(name):
            waiter = next(iter(waiters))
            self._delist(waiter)
            if waiter.wake():
                return

    # Expiry; the lock is held

    def _living_queue(self, name: str) -> _Queue | None:
        queue = self._queues.get(name)
        if queue is None:
            return None
        expired = queue.drop_messages(self.clock() - self.expiry)
        if expired:
            # Nobody reads this channel: whatever it subscribed to is of no use to it.
            self._groups.discard_queue(name)
            self.statistics.count_dropped(name, "expired", "Is a worker or interface server reading it?", expired)
            self._settle(name, queue)
        return queue if queue.entries else None

    def _settle(self, name: str, queue: _Queue) -> None:
        if not queue.entries:
            self._queues.pop(name, None)

    def _sweep(self) -> None:
        now = self.clock()
        if now >= self._next_sweep:
            self._next_sweep = now + SWEEP_INTERVAL
            self._unswept_groups, self._unswept_queues = self._groups.names(), list(self._queues)
        if self._unswept_groups or self._unswept_queues:
            self._sweep_some(now)

    def _sweep_some(self, now: float) -> None:
        """Do so for a turn: the next send goes on."""
        turn = Turn(self.clock)
        while self._unswept_groups and not turn.is_over:
            self._groups.sweep(self._unswept_groups.pop(), now)
        while self._unswept_queues and not turn.is_over:
            self._sweep_queue(self._unswept_queues.pop(), now)

    def _sweep_queue(self, name: str, now: float) -> None:
        queue = self._living_queue(name)
        if queue:
            # A message sent to a group while its member lived may wait as long behind it.
            queue.drop_memberships(now - self.group_expiry - self.expiry)
            self._settle(name, queue)


def _entry(send: Send) -> Entry:
    return Entry(local_part(send.name), "", send.content, False, False, send.ticket, send.finish)


class _Queue:
    """Entries in order. Those that change a membership do not count as messages and live as long as it does."""

    __slots__ = ("entries", "messages")

    def __init__(self) -> None:
        self.entries: deque[tuple[float, Entry]] = deque()
        self.messages = 0

    def push(self, entry: Entry, now: float) -> None:
        self.entries.append((now, entry))
        self.messages += entry.is_message

    def pop(self) -> Entry:
        entry = self.entries.popleft()[1]
        self.messages -= entry.is_message
        return entry

    def pop_all(self) -> list[Entry]:
        entries = [entry for _, entry in self.entries]
        self.entries.clear()
        self.messages = 0
        return entries

    def tickets(self) -> set[tuple[str, int | None]]:
        return {
            (entry.content["reply_channel"], entry.ticket.number)
            for _, entry in self.entries
            if entry.content is not None and entry.ticket is not None
        }

    def age(self, now: float) -> float:
        return next((now - sent for sent, entry in self.entries if entry.is_message), 0.0)

    def drop_messages(self, limit: float) -> int:
        if not self.messages or self.entries[0][0] > limit:
            return 0
        kept = deque(item for item in self.entries if item[0] > limit or not item[1].is_message)
        dropped = len(self.entries) - len(kept)
        self.entries = kept
        self.messages -= dropped
        return dropped

    def drop_memberships(self, limit: float) -> None:
        self.entries = deque(item for item in self.entries if item[0] > limit or item[1].is_message)


class _Waiter:
    """Somebody who waits for a message on any of some channels. ``wake`` returns False if nobody is there."""

    __slots__ = ("names", "wake")

    def __init__(self, names: Sequence[str], wake: Callable[[], bool]) -> None:
        self.names = names
        self.wake = wake


def _wake_thread(woken: threading.Event) -> bool:
    woken.set()
    return True


def _wake_loop(loop: asyncio.AbstractEventLoop, woken: asyncio.Future[None]) -> bool:
    try:
        loop.call_soon_threadsafe(_finish, woken)
    except RuntimeError:
        # The loop was closed without its reader being cancelled.
        return False
    return True


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
