"""
Know what workers have in hand.

Each worker process tells it, every few seconds, to the readers of the process queues that the messages have come from.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence

import ormsgpack

from ...values.names import queue_of
from ..base import UnderWay
from ..under_way import pack_messages, unpack_messages
from .broker import Broker
from .topology import LEASE

# By so many seconds the clocks of two machines may differ without a message being taken for lost.
CLOCK_LEEWAY = 5.0


class Workers:
    """What workers have, told and heard; for the I/O thread alone."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        # Who was told what a worker has, and would go on to believe it.
        self._told: defaultdict[str, set[str]] = defaultdict(set)
        # By worker and process queue: until when that is believed, and what the worker has.
        self._heard: dict[tuple[str, str], tuple[float, set[tuple[str, int | None]]]] = {}

    async def tell(self, worker: str, has: Sequence[UnderWay]) -> None:
        """Say what a worker process has."""
        by_queue: defaultdict[str, list[UnderWay]] = defaultdict(list)
        for message in has:
            if "!" in message.reply_channel:
                by_queue[queue_of(message.reply_channel)].append(message)
        for queue in self._told[worker] | set(by_queue):
            packed = ormsgpack.packb([worker, pack_messages(by_queue[queue])])
            await self._broker.tell_reader(queue, packed, "has")
        self._told[worker] = {queue for queue, messages in by_queue.items() if messages}

    async def end(self, worker: str) -> None:
        """Say that a worker process has nothing any more."""
        await self.tell(worker, [])
        del self._told[worker]

    def hear(self, queue: str, packed: bytes) -> None:
        """Take in what a worker has said to the reader of a process queue."""
        try:
            worker, messages = ormsgpack.unpackb(packed)
            has = unpack_messages(messages)
        except (ValueError, TypeError):
            # Another version of this engine says it otherwise.
            return
        now = time.monotonic()
        for key in [key for key, (until, _) in self._heard.items() if until < now]:
            del self._heard[key]
        self._heard[worker, queue] = now + LEASE, {(message.reply_channel, message.number) for message in has}

    def lost(self, under_way: Sequence[UnderWay], ages: Mapping[str, float | None]) -> list[UnderWay]:
        """
        Return those of some messages that neither wait in a channel nor are with a worker that lives.

        ``ages`` says for how many seconds the first message of each channel has waited, None where there is none.
        """
        now = time.monotonic()
        with_workers = {key for until, keys in self._heard.values() if until >= now for key in keys}
        return [
            message
            for message in under_way
            if not self._may_wait(message, ages[message.channel])
            and (message.reply_channel, message.number) not in with_workers
        ]

    def _may_wait(self, message: UnderWay, oldest: float | None) -> bool:
        """Say so of a message that is not older than the oldest one in its channel."""
        if oldest is None:
            return False
        return message.seconds <= min(oldest + CLOCK_LEEWAY, self._broker.layer.expiry)
