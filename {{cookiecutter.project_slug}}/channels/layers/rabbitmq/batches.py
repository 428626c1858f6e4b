"""Send batches: all of one is published, and then waited for together."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ...values.names import local_part, queue_of
from ..base import Send
from ..envelope import packed_send
from .connection import Refused, give
from .publisher import Outcome

if TYPE_CHECKING:
    from .core import Core

# A queue that is not there is made so often for the same batch.
_TRIES = 3


# Is told what full channels have refused of a batch, or what has gone wrong.
Done = Callable[[Sequence[Send], Exception | None], None]


class Batches:
    """Sends batches; for the I/O thread alone."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def send(self, sends: Sequence[Send]) -> Sequence[Send]:
        """Send a batch, and return what full channels have refused."""
        answer: asyncio.Future[Sequence[Send]] = asyncio.get_running_loop().create_future()

        def done(refused: Sequence[Send], error: Exception | None) -> None:
            if not answer.done():
                answer.set_exception(error) if error is not None else answer.set_result(refused)

        self.begin(sends, done)
        return await answer

    def begin(self, sends: Sequence[Send], done: Done) -> None:
        """Send a batch, and tell ``done`` what has become of it."""
        if self._core.publishing.is_open and not any(send.to_group or send.reply_channel for send in sends):
            # Nearly all are such: they need no task.
            try:
                self._core.publisher.check()
                self._publish(sends, lambda outcomes: self._end(sends, outcomes, done))
            except Exception as error:
                done((), error)
        else:
            self._core.start(self._send(sends, done))

    async def _send(self, sends: Sequence[Send], done: Done) -> None:
        """Do so where memberships may have lapsed, and last wills come along."""
        core = self._core
        try:
            await core.publishing.ready()
            core.publisher.check()
            for send in sends:
                if send.to_group:
                    await core.memberships.drop_lapsed(send.name)
            wills = [
                await core.wills.set(queue_of(send.reply_channel), local_part(send.reply_channel), send.will)
                for send in sends
                if send.reply_channel and send.will is not None
            ]
            outcomes = await self._published(sends)
            if Outcome.UNCERTAIN in [await will for will in wills]:
                raise core.publisher.uncertainty()
        except Exception as error:
            done((), error)
        else:
            self._end(sends, outcomes, done)

    def _end(self, sends: Sequence[Send], outcomes: list[Outcome], done: Done) -> None:
        if Outcome.NO_QUEUE in outcomes:
            self._core.start(self._send_again(sends, outcomes, done))
        elif Outcome.UNCERTAIN in outcomes:
            done((), self._core.publisher.uncertainty())
        else:
            done(self._settled(sends, outcomes), None)

    async def _send_again(self, sends: Sequence[Send], outcomes: list[Outcome], done: Done) -> None:
        """Send what was for queues that were not there."""
        core = self._core
        try:
            for _ in range(_TRIES):
                missing = [number for number, outcome in enumerate(outcomes) if outcome is Outcome.NO_QUEUE]
                if not missing:
                    break
                for queue in {queue_of(sends[number].name) for number in missing}:
                    core.declarer.forget(core.names.queue(queue))
                    await core.have_queue(queue)
                again = await self._published([sends[number] for number in missing])
                for number, outcome in zip(missing, again, strict=True):
                    outcomes[number] = outcome
        except Refused as error:
            done((), core.refusal(error))
        except Exception as error:
            done((), error)
        else:
            lost = any(outcome in (Outcome.UNCERTAIN, Outcome.NO_QUEUE) for outcome in outcomes)
            done((), core.publisher.uncertainty()) if lost else done(self._settled(sends, outcomes), None)

    async def _published(self, sends: Sequence[Send]) -> list[Outcome]:
        answer: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()
        self._publish(sends, lambda outcomes: give(answer, outcomes))
        return await answer

    def _publish(self, sends: Sequence[Send], all_told: Callable[[list[Outcome]], None]) -> None:
        """Publish messages, and tell what has become of all of them."""
        core, publish = self._core, self._core.publisher.publish
        outcomes = [Outcome.UNCERTAIN] * len(sends)
        left = len(sends)

        def told(number: int, outcome: Outcome) -> None:
            nonlocal left
            outcomes[number] = outcome
            left -= 1
            if not left:
                all_told(outcomes)

        for number, send in enumerate(sends):
            body = core.stamps.put_on(packed_send(send, core.layer.max_message_size))
            if send.to_group:
                publish(core.names.groups, send.name, body, functools.partial(told, number))
            else:
                queue = queue_of(send.name)
                core.use(queue)
                publish("", core.names.queue(queue), body, functools.partial(told, number))

    def _settled(self, sends: Sequence[Send], outcomes: Sequence[Outcome]) -> list[Send]:
        """Count what was sent, and return what was refused."""
        if Outcome.FULL not in outcomes:
            for send in sends:
                self._count_taken(send)
            return []
        core, statistics = self._core, self._core.layer.statistics
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
                    statistics.count_dropped(send.name, "full, overtaken", core.layer.describe_full(send.name))
                    continue
                if send.will is not None:
                    core.wills.forget(queue_of(send.reply_channel), local_part(send.reply_channel))
                refused.append(send)
        return refused

    def _count_taken(self, send: Send) -> None:
        core = self._core
        for queue in core.memberships.known.queues(send.name) if send.to_group else (send.name,):
            core.layer.statistics.count_sent(queue)
        if send.reply_channel and send.will is None:
            core.wills.forget(queue_of(send.reply_channel), local_part(send.reply_channel))
