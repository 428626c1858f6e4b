"""
Send batches: all of one is published, and then waited for together.

What the connections of an event loop send goes to the I/O thread together, and is confirmed together.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections import deque
from collections.abc import Callable, Sequence

from ...exceptions import ChannelLayerUnavailable
from ...values.names import local_part, queue_of
from ..base import Send
from ..envelope import packed_send
from .broker import Broker
from .connection import call_in, for_users, give
from .memberships import Memberships
from .publisher import Outcome
from .wills import Wills

# A queue that is not there is made so often for the same batch.
_TRIES = 3
# As many batches of an event loop leave at once: for each, a connection that waited goes on when they are confirmed.
AT_ONCE = 100

# Is told what full channels have refused of a batch, or what has gone wrong.
Done = Callable[[Sequence[Send], Exception | None], None]
# Sends, and who waits to hear which of them were refused.
Batch = tuple[list[Send], asyncio.Future[list[Send]]]


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

    def wait(self, timeout: float) -> None:
        """Wait for it."""
        if not self._told.wait(timeout):
            self.error = silence(timeout)


def silence(seconds: float) -> ChannelLayerUnavailable:
    """Return what to raise when the broker has not answered for so long."""
    return ChannelLayerUnavailable(f"The broker has not answered for {seconds:.0f} s.", uncertain=True)


class Batches:
    """Sends batches; for the I/O thread alone."""

    def __init__(self, broker: Broker, memberships: Memberships, wills: Wills) -> None:
        self._broker = broker
        self._memberships = memberships
        self._wills = wills

    async def send(self, batch: Sequence[Send]) -> Sequence[Send]:
        """Send a batch, and return what full channels have refused."""
        answer: asyncio.Future[Sequence[Send]] = asyncio.get_running_loop().create_future()

        def done(refused: Sequence[Send], error: Exception | None) -> None:
            if not answer.done():
                answer.set_exception(error) if error is not None else answer.set_result(refused)

        self.begin([batch], done)
        return await answer

    def begin(self, batches: Sequence[Sequence[Send]], done: Done) -> None:
        """Send batches, each of which has its own order, and tell ``done`` what has become of them."""
        sends = _all_of(batches)
        if self._broker.publishing.is_open and not any(send.to_group or send.reply_channel for send in sends):
            # Nearly all are such: they need no task.
            try:
                self._broker.publisher.check()
                self._publish(sends, lambda outcomes: self._end(batches, outcomes, done))
            except Exception as error:
                done((), error)
        else:
            self._broker.start(self._send(batches, done))

    async def _send(self, batches: Sequence[Sequence[Send]], done: Done) -> None:
        """Do so where memberships may have lapsed, and last wills come along."""
        broker, sends = self._broker, _all_of(batches)
        try:
            await broker.publishing.ready()
            broker.publisher.check()
            for send in sends:
                if send.to_group:
                    await self._memberships.drop_lapsed(send.name)
            wills = [
                await self._wills.set(queue_of(send.reply_channel), local_part(send.reply_channel), send.will)
                for send in sends
                if send.reply_channel and send.will is not None
            ]
            outcomes = await self._published(sends)
            if Outcome.UNCERTAIN in [await will for will in wills]:
                raise broker.publisher.uncertainty()
        except Exception as error:
            done((), for_users(error))
        else:
            self._end(batches, outcomes, done)

    def _end(self, batches: Sequence[Sequence[Send]], outcomes: list[Outcome], done: Done) -> None:
        if Outcome.NO_QUEUE in outcomes:
            self._broker.start(self._send_again(batches, outcomes, done))
        elif Outcome.UNCERTAIN in outcomes:
            done((), self._broker.publisher.uncertainty())
        else:
            done(self._settled(batches, outcomes), None)

    async def _send_again(self, batches: Sequence[Sequence[Send]], outcomes: list[Outcome], done: Done) -> None:
        """Send what was for queues that were not there."""
        broker, sends = self._broker, _all_of(batches)
        try:
            for _ in range(_TRIES):
                missing = [number for number, outcome in enumerate(outcomes) if outcome is Outcome.NO_QUEUE]
                if not missing:
                    break
                for queue in {queue_of(sends[number].name) for number in missing}:
                    broker.declarer.forget(broker.names.queue(queue))
                    await broker.have_queue(queue)
                again = await self._published([sends[number] for number in missing])
                for number, outcome in zip(missing, again, strict=True):
                    outcomes[number] = outcome
        except Exception as error:
            done((), for_users(error))
        else:
            lost = any(outcome in (Outcome.UNCERTAIN, Outcome.NO_QUEUE) for outcome in outcomes)
            done((), broker.publisher.uncertainty()) if lost else done(self._settled(batches, outcomes), None)

    async def _published(self, sends: Sequence[Send]) -> list[Outcome]:
        answer: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()
        self._publish(sends, lambda outcomes: give(answer, outcomes))
        return await answer

    def _publish(self, sends: Sequence[Send], all_told: Callable[[list[Outcome]], None]) -> None:
        """Publish messages, and tell what has become of all of them."""
        broker, publish = self._broker, self._broker.publisher.publish
        outcomes = [Outcome.UNCERTAIN] * len(sends)
        left = len(sends)

        def told(number: int, outcome: Outcome) -> None:
            nonlocal left
            outcomes[number] = outcome
            left -= 1
            if not left:
                all_told(outcomes)

        for number, send in enumerate(sends):
            body = broker.stamps.put_on(packed_send(send, broker.layer.max_message_size))
            if send.to_group:
                publish(broker.names.groups, send.name, body, functools.partial(told, number))
            else:
                queue = queue_of(send.name)
                broker.use(queue)
                publish("", broker.names.queue(queue), body, functools.partial(told, number))

    def _settled(self, batches: Sequence[Sequence[Send]], outcomes: Sequence[Outcome]) -> list[Send]:
        """Count what was sent, and return what was refused."""
        if Outcome.FULL not in outcomes:
            for send in _all_of(batches):
                self._count_taken(send)
            return []
        following = iter(outcomes)
        return [send for batch in batches for send in self._refused(batch, [next(following) for _ in batch])]

    def _refused(self, sends: Sequence[Send], outcomes: Sequence[Outcome]) -> list[Send]:
        """Do so for one batch."""
        broker, statistics = self._broker, self._broker.statistics
        # The last message of the batch that each channel has taken.
        last = {send.name: n for n, send in enumerate(sends) if not send.to_group and outcomes[n] is Outcome.TAKEN}
        refused = []
        for number, (send, outcome) in enumerate(zip(sends, outcomes, strict=True)):
            if outcome is Outcome.TAKEN:
                self._count_taken(send)
            elif not send.to_group:
                statistics.count_full(send.name)
                if number < last.get(send.name, -1):
                    # A reader has made room meanwhile. Sent again, it would come out of its order.
                    statistics.count_dropped(send.name, "full, overtaken", broker.layer.describe_full(send.name))
                    continue
                if send.will is not None:
                    self._wills.forget(queue_of(send.reply_channel), local_part(send.reply_channel))
                refused.append(send)
        return refused

    def _count_taken(self, send: Send) -> None:
        broker = self._broker
        for queue in self._memberships.known.queues(send.name) if send.to_group else (send.name,):
            broker.statistics.count_sent(queue)
        if send.reply_channel and send.will is None:
            self._wills.forget(queue_of(send.reply_channel), local_part(send.reply_channel))


class Gathered:
    """Gathers what is sent while what was sent before is being confirmed."""

    def __init__(self, broker: Broker, batches: Batches, loop: asyncio.AbstractEventLoop, timeout: float) -> None:
        self._broker = broker
        self._batches = batches
        self._loop = loop
        self._timeout = timeout
        self._waiting: deque[Batch] = deque()
        self._is_busy = False

    async def send(self, sends: list[Send]) -> list[Send]:
        """Send a batch, and return what full channels have refused."""
        told: asyncio.Future[list[Send]] = self._loop.create_future()
        self._waiting.append((sends, told))
        if not self._is_busy:
            self._is_busy = True
            # Others have their turn first, and perhaps something to send.
            self._loop.call_soon(self._leave)
        return await told

    def _leave(self) -> None:
        batches = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
        if not batches:
            self._is_busy = False
            return
        timer = self._loop.call_later(self._timeout, self._tell, batches, (), silence(self._timeout))

        def done(refused: Sequence[Send], error: Exception | None) -> None:
            call_in(self._loop, self._go_on, timer, batches, refused, error)

        self._broker.post(self._batches.begin, [sends for sends, _ in batches], done)

    def _go_on(
        self, timer: asyncio.TimerHandle, batches: Sequence[Batch], refused: Sequence[Send], error: Exception | None
    ) -> None:
        timer.cancel()
        self._tell(batches, refused, error)
        self._leave()

    def _tell(self, batches: Sequence[Batch], refused: Sequence[Send], error: Exception | None) -> None:
        identities = {id(send) for send in refused}
        for sends, told in batches:
            if error is None:
                give(told, [send for send in sends if id(send) in identities])
            elif not told.done():
                told.set_exception(error)


def _all_of(batches: Sequence[Sequence[Send]]) -> Sequence[Send]:
    return batches[0] if len(batches) == 1 else [send for batch in batches for send in batch]
