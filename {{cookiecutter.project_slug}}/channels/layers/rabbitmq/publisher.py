"""
Publish messages, and learn from the broker's confirms what has become of each.

What is published meanwhile is confirmed together: a consumer's batch costs one wait, not one for each message.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Callable
from typing import Any

import pika

from ...exceptions import ChannelLayerUnavailable
from .connection import Line, Link
from .frames import Confirmed


class Outcome(enum.Enum):
    """What has become of a message."""

    TAKEN = "taken"
    FULL = "full"
    NO_QUEUE = "no queue"
    # The connection was lost, or the broker takes nothing any more, before it has said anything.
    UNCERTAIN = "uncertain"


Done = Callable[[Outcome], None]


class Publisher:
    """Publishes over one connection; for the I/O thread alone."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._line: Line | None = None
        self._last = 0
        # Who waits for which confirm, in the order of the numbers by which the broker confirms.
        self._waiting: dict[int, Done] = {}
        self._returned: set[int] = set()

    async def open(self) -> None:
        """Make ready: the connection is there."""
        line = await self._link.line()
        line.raw.add_on_return_callback(self._is_returned)
        line.on_confirmed = self._is_confirmed
        await line.confirm()
        self._line, self._last = line, 0

    def lose(self) -> None:
        """Begin anew: the connection was lost."""
        self._line = None
        self.give_up()

    def give_up(self) -> None:
        """Have all who wait for a confirm wait no longer."""
        waiting, self._waiting = self._waiting, {}
        self._returned.clear()
        for done in waiting.values():
            done(Outcome.UNCERTAIN)

    def check(self) -> None:
        """Raise ``ChannelLayerUnavailable`` if nothing can be published now; nothing has been, then."""
        if self._link.blocked or self._line is None or not self._line.is_open:
            raise ChannelLayerUnavailable(self._trouble())

    def uncertainty(self) -> ChannelLayerUnavailable:
        """Return what to raise when the broker has not said what has become of a message."""
        return ChannelLayerUnavailable(self._trouble(), uncertain=True)

    def _trouble(self) -> str:
        if self._link.blocked:
            return f"The broker takes no messages for now: {self._link.blocked}."
        return "The connection to the broker was lost."

    def publish(
        self, exchange: str, key: str, body: bytes, done: Done, kind: str = "", headers: dict[str, Any] | None = None
    ) -> None:
        """Publish to a queue, or to whatever an exchange leads to; ``done`` is told what has become of it."""
        line = self._line
        if line is None or not line.is_open:
            done(Outcome.UNCERTAIN)
            return
        self._last += 1
        self._waiting[self._last] = done
        if kind or headers:
            properties = pika.BasicProperties(message_id=str(self._last), type=kind or None, headers=headers)
            line.raw.basic_publish(exchange, key, body, properties, mandatory=not exchange)
        else:
            line.publish(exchange, key, not exchange, self._last, body)

    def _is_returned(self, raw: Any, method: Any, properties: Any, body: bytes) -> None:
        self._returned.add(int(properties.message_id))

    def _is_confirmed(self, confirmed: Confirmed) -> None:
        outcome = Outcome.TAKEN if confirmed.taken else Outcome.FULL
        if not confirmed.multiple:
            self._tell(confirmed.number, outcome)
            return
        # They are in order.
        for number in list(itertools.takewhile(lambda number: number <= confirmed.number, self._waiting)):
            self._tell(number, outcome)

    def _tell(self, number: int, outcome: Outcome) -> None:
        done = self._waiting.pop(number, None)
        if number in self._returned:
            self._returned.discard(number)
            outcome = Outcome.NO_QUEUE
        if done is not None:
            done(outcome)
