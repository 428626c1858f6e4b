"""
Take messages from channels for threads that wait for them.

The broker sends a message to whoever has said that he wants some: a *consumer*. There is one for each channel that
threads of this process wait for, until one of its messages finds none of them free for a while. A message is
acknowledged when it is given to a thread, before that can begin with it: so nobody else ever gets it, and a process
that is killed loses what its threads have in hand. What has come and nobody takes goes back where it was.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pika

from ...exceptions import ChannelLayerUnavailable
from ..base import Delivery
from .broker import Broker
from .connection import Line, Refused, Take, for_users

# For so long, in seconds, what has come is kept for a thread that may be free soon: then others shall have it.
GRACE = 0.1
# For so long, in seconds, a channel is read that nobody waits for any more.
IDLE = 5.0
# As many messages of a channel may be on their way here.
PREFETCH = 4


class Waiter:
    """A thread that waits for a message on any of some channels."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self.delivery: Delivery | None = None
        self.error: Exception | None = None
        # Set when it has been given something, or has been told to go, or has gone.
        self.is_over = False
        self.woken = threading.Event()


class _Consumer:
    """One channel that is read."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.tag = f"{name}.{id(self):x}"
        self.line: Line | None = None
        # What has come, with the numbers by which it is acknowledged.
        self.waiting: deque[tuple[int, bytes]] = deque()
        self.is_attached = self.is_leaving = False
        # Since when nobody waits for it, by the loop's clock.
        self.unwanted_since: float | None = None

    def take(self) -> bytes:
        """Acknowledge what has come first, and return it."""
        number, body = self.waiting.popleft()
        if self.line is not None and self.line.is_open:
            self.line.acknowledge(number)
        return body


class Consumers:
    """The channels that threads of this process read; for the I/O thread, but where it says otherwise."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        # Guards what waiters are told: a thread stops waiting when it likes.
        self._lock = threading.Lock()
        self._waiters: dict[Waiter, None] = {}
        self._consumers: dict[str, _Consumer] = {}
        self._line: Line | None = None
        self._opening = asyncio.Lock()
        self._pulling = asyncio.Lock()
        self._is_closing = self._will_look = False
        # Threads that have been given something, and are woken when that is acknowledged.
        self._given: list[Waiter] = []
        # Who is told that a queue was empty.
        self._on_empty: Callable[[Any], None] = lambda frame: None

    # For threads

    def wait(self, waiter: Waiter, timeout: float | None, wait_before: Callable[[], None] = lambda: None) -> None:
        """Wait in this thread for something else, and then until a waiter has been woken, or the time is over."""
        try:
            wait_before()
            waiter.woken.wait(timeout)
        finally:
            with self._lock:
                waiter.is_over = True
            if waiter.delivery is None:
                self._broker.post(self._close_later)

    def interrupt(self) -> None:
        """Wake all who wait; for any thread."""
        with self._lock:
            for waiter in list(self._waiters):
                waiter.is_over = True
                waiter.woken.set()

    # Waiting

    def enlist(self, waiter: Waiter) -> None:
        """Give a thread the next message."""
        self._waiters[waiter] = None
        for name in random.sample(waiter.names, len(waiter.names)):
            if name in self._consumers:
                self._serve(self._consumers[name])
        if not waiter.is_over:
            self._read(waiter.names)

    def _read(self, names: Iterable[str]) -> None:
        """Have channels read."""
        missing = [name for name in names if name not in self._consumers]
        if missing:
            consumers = [_Consumer(name) for name in missing]
            self._consumers.update(zip(missing, consumers, strict=True))
            self._broker.start(self._attach(consumers))

    async def _attach(self, consumers: Sequence[_Consumer]) -> None:
        try:
            await self._broker.reading.ready()
            line = await self._open_line()
            for consumer in consumers:
                await self._broker.have_queue(consumer.name)
                consumer.line = line
                await line.consume(self._broker.names.queue(consumer.name), consumer.tag, self._taker(consumer))
                consumer.is_attached = True
        except Exception as error:
            self._give_up({consumer.name for consumer in consumers}, for_users(error))
            # Nobody would ever take what comes to those that are read already.
            for consumer in consumers:
                if consumer.is_attached and consumer.line is not None and consumer.line.is_open:
                    self._broker.start(self._detach(consumer, consumer.line))
        self._close_later()

    def _taker(self, consumer: _Consumer) -> Take:
        def take(number: int, body: bytes) -> None:
            consumer.waiting.append((number, body))
            self._serve(consumer)

        return take

    def _serve(self, consumer: _Consumer) -> None:
        """Give what has come to threads that wait for it."""
        for waiter in list(self._waiters):
            if not consumer.waiting:
                return
            if consumer.name in waiter.names:
                self._hand_over(waiter, consumer)
        if consumer.waiting:
            self._close_later()

    def _hand_over(self, waiter: Waiter, consumer: _Consumer) -> None:
        with self._lock:
            while consumer.waiting and not waiter.is_over:
                waiter.delivery = self._broker.delivery(consumer.name, consumer.take())
                waiter.is_over = waiter.delivery is not None
            if not waiter.is_over:
                return
        self._waiters.pop(waiter, None)
        if not self._given:
            asyncio.get_running_loop().call_soon(self._wake)
        self._given.append(waiter)
        self._close_later()

    def _wake(self) -> None:
        """Let threads begin with what they were given, now that the broker has been told."""
        self._broker.reading.flush()
        for waiter in self._given:
            waiter.woken.set()
        self._given.clear()

    def end(self, waiter: Waiter) -> None:
        """Have a thread wait no longer, unless it has been given something."""
        with self._lock:
            if waiter.is_over:
                return
            waiter.is_over = True
        waiter.woken.set()
        self._close_later()

    def _give_up(self, names: set[str], error: Exception | None) -> None:
        """Have those who wait for channels hear that they cannot be read."""
        for name in names:
            self._consumers.pop(name, None)
        for waiter in [waiter for waiter in self._waiters if names.intersection(waiter.names)]:
            with self._lock:
                waiter.is_over, waiter.error = True, error
            del self._waiters[waiter]
            waiter.woken.set()

    # Without waiting

    async def get(self, names: Sequence[str]) -> Delivery | None:
        """Take a message that is there."""
        await self._broker.reading.ready()
        for name in random.sample(names, len(names)):
            # What is on its way here comes before the word that there is nothing more.
            if delivery := self._kept(name) or await self._got(name) or self._kept(name):
                return delivery
        return None

    def _kept(self, name: str) -> Delivery | None:
        consumer = self._consumers.get(name)
        while consumer is not None and consumer.waiting:
            if delivery := self._broker.delivery(name, consumer.take()):
                return delivery
        return None

    async def _got(self, name: str) -> Delivery | None:
        await self._broker.have_queue(name)
        while found := await self.pull(self._broker.names.queue(name)):
            if delivery := self._broker.delivery(name, found[0]):
                return delivery
        return None

    async def pull(self, queue: str, put_back: bool = False) -> tuple[bytes, Any] | None:
        """Take the first message of a queue, with its properties, or only look at it; None if there is none."""
        # Whoever waits no longer leaves nothing in hand, and no answer to the next one.
        return await asyncio.shield(asyncio.ensure_future(self._pull(queue, put_back)))

    async def _pull(self, queue: str, put_back: bool) -> tuple[bytes, Any] | None:
        async with self._pulling:
            line = await self._open_line()
            try:
                found = await line.wait(lambda done: self._begin_to_pull(line.raw, queue, not put_back, done))
            except Refused:
                self._broker.declarer.forget(queue)
                return None
            if not isinstance(found, tuple):
                return None
            number, body, properties = found
            if put_back:
                line.raw.basic_nack(number)
            return body, properties

    def _begin_to_pull(self, raw: Any, queue: str, auto_ack: bool, done: Callable[[Any], None]) -> None:
        self._on_empty = done
        raw.basic_get(
            queue, lambda _, method, properties, body: done((method.delivery_tag, body, properties)), auto_ack
        )

    # The line

    async def _open_line(self) -> Line:
        async with self._opening:
            if self._line is None or not self._line.is_open:
                self._line = line = await self._broker.reading.line(self.lose)
                line.raw.add_callback(lambda frame: self._on_empty(frame), [pika.spec.Basic.GetEmpty], one_shot=False)
                line.raw.add_on_cancel_callback(self._is_cancelled)
                await line.ask("basic_qos", prefetch_count=PREFETCH)
            return self._line

    def _is_cancelled(self, frame: Any) -> None:
        """Begin anew with a channel whose queue was deleted."""
        for consumer in list(self._consumers.values()):
            if consumer.tag == frame.method.consumer_tag:
                self._broker.declarer.forget(self._broker.names.queue(consumer.name))
                self._give_up({consumer.name}, None)

    def lose(self) -> None:
        """Begin anew with all: the connection was lost."""
        for name in self._consumers:
            self._broker.declarer.forget(self._broker.names.queue(name))
        lost = ChannelLayerUnavailable("The connection to the broker was lost.")
        self._give_up(set(self._consumers), lost)

    def _close_later(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            asyncio.get_running_loop().call_later(GRACE, self._close)

    def _close(self) -> None:
        """Stop reading what nobody waits for, and has brought something or been idle."""
        self._is_closing, now = False, asyncio.get_running_loop().time()
        for waiter in [waiter for waiter in self._waiters if waiter.is_over]:
            del self._waiters[waiter]
        wanted = self._wanted()
        are_idle = False
        for name, consumer in self._consumers.items():
            if name in wanted:
                consumer.unwanted_since = None
            elif consumer.line is not None and not consumer.is_leaving:
                consumer.unwanted_since = consumer.unwanted_since or now
                if consumer.waiting or now - consumer.unwanted_since >= IDLE:
                    consumer.is_leaving = True
                    self._broker.start(self._detach(consumer, consumer.line))
                else:
                    are_idle = True
        if are_idle and not self._will_look:
            self._will_look = True
            asyncio.get_running_loop().call_later(IDLE, self._look)

    def _look(self) -> None:
        self._will_look = False
        self._close()

    async def _detach(self, consumer: _Consumer, line: Line) -> None:
        await line.cancel(consumer.tag)
        for number, _ in consumer.waiting:
            line.raw.basic_nack(number)
        consumer.waiting.clear()
        if self._consumers.get(consumer.name) is consumer:
            del self._consumers[consumer.name]
            # Somebody may have come meanwhile.
            self._read({consumer.name} & self._wanted())

    def _wanted(self) -> set[str]:
        return {name for waiter in self._waiters for name in waiter.names}

    def drop_all(self) -> None:
        """Forget what has come and nobody was given."""
        for consumer in self._consumers.values():
            while consumer.waiting:
                consumer.take()
