"""Send batches: all of one is published, and then waited for together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ...exceptions import ChannelLayerUnavailable
from ...values.names import local_part, queue_of
from ..base import Send
from ..envelope import packed_send
from .publisher import Outcome

if TYPE_CHECKING:
    from .core import Core

# A queue that is not there is made so often for the same batch.
_TRIES = 3


class Batches:
    """Sends batches; for the I/O thread alone."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def send(self, sends: Sequence[Send]) -> list[Send]:
        """Send a batch, and return what full channels have refused."""
        core = self._core
        await core.publishing.ready()
        core.publisher.check()
        for send in sends:
            if send.to_group:
                await core.memberships.drop_lapsed(send.name)
            if send.reply_channel and send.will is not None:
                await core.wills.set(queue_of(send.reply_channel), local_part(send.reply_channel), send.will)
        outcomes = await self._publish(sends)
        for _ in range(_TRIES):
            missing = [number for number, outcome in enumerate(outcomes) if outcome is Outcome.NO_QUEUE]
            if not missing:
                break
            for queue in {queue_of(sends[number].name) for number in missing}:
                core.declarer.forget(core.names.queue(queue))
                await core.have_queue(queue)
            for number, outcome in zip(missing, await self._publish([sends[n] for n in missing]), strict=True):
                outcomes[number] = outcome
        return self._settled(sends, outcomes)

    async def _publish(self, sends: Sequence[Send]) -> list[Outcome]:
        outcomes = [Outcome.UNCERTAIN] * len(sends)
        if not sends:
            return outcomes
        left = len(sends)
        all_told = asyncio.get_running_loop().create_future()

        def teller(number: int) -> Callable[[Outcome], None]:
            def told(outcome: Outcome) -> None:
                nonlocal left
                outcomes[number] = outcome
                left -= 1
                if not left and not all_told.done():
                    all_told.set_result(None)

            return told

        core = self._core
        for number, send in enumerate(sends):
            body = core.stamps.put_on(packed_send(send, core.layer.max_message_size))
            if send.to_group:
                core.publisher.publish(core.names.groups, send.name, body, teller(number))
            else:
                queue = queue_of(send.name)
                core.use(queue)
                core.publisher.publish("", core.names.queue(queue), body, teller(number))
        await all_told
        return outcomes

    def _settled(self, sends: Sequence[Send], outcomes: Sequence[Outcome]) -> list[Send]:
        """Count what was sent, and return what was refused."""
        core, statistics = self._core, self._core.layer.statistics
        if Outcome.UNCERTAIN in outcomes:
            raise ChannelLayerUnavailable("The connection to the broker was lost.", uncertain=True)
        # The last message of the batch that each channel has taken.
        last = {send.name: n for n, send in enumerate(sends) if not send.to_group and outcomes[n] is Outcome.TAKEN}
        refused = []
        for number, (send, outcome) in enumerate(zip(sends, outcomes, strict=True)):
            if send.to_group:
                if outcome is Outcome.TAKEN:
                    for queue in core.memberships.known.queues(send.name):
                        statistics.count_sent(queue)
                continue
            if outcome is Outcome.TAKEN:
                statistics.count_sent(send.name)
                if send.reply_channel and send.will is None:
                    core.wills.forget(queue_of(send.reply_channel), local_part(send.reply_channel))
                continue
            statistics.count_full(send.name)
            if number < last.get(send.name, -1):
                # A reader has made room meanwhile. Sent again, it would come out of its order.
                statistics.count_dropped(send.name, "full, overtaken", core.layer.describe_full(send.name))
                continue
            if send.reply_channel and send.will is not None:
                core.wills.forget(queue_of(send.reply_channel), local_part(send.reply_channel))
            refused.append(send)
        return refused
