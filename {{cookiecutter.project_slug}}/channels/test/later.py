"""Delayed messages in virtual time: what the app ``channels.delay`` does, without its table."""

from __future__ import annotations

import bisect
import math

from ..layers.base import Send
from ..layers.inmemory import InMemoryChannelLayer
from ..values.delays import CHANNEL, read_delayed
from .steps import Step

# Seconds until what a full channel has refused is tried again.
FULL_PAUSE = 1.0
_NAME = "rundelay"


class Later:
    """Keeps the delayed messages of a layer, and sends them when they are due."""

    def __init__(self, layer: InMemoryChannelLayer) -> None:
        self._layer = layer
        # When each is due, in the order of these times.
        self._kept: list[tuple[float, Send]] = []

    @property
    def due_in(self) -> float:
        """In how many seconds the next one is due."""
        return self._kept[0][0] - self._layer.clock() if self._kept else math.inf

    def steps(self) -> list[Step]:
        """Return what could happen next to them."""
        waits = self._layer.channel_statistics(CHANNEL)["messages_pending"]
        steps = [Step(_NAME, "keeps a message", self._keep)] if waits else []
        if self.due_in <= 0:
            steps.append(Step(_NAME, f"sends to {self._kept[0][1].name}", self._send))
        return steps

    def _keep(self) -> None:
        delivery = self._layer.take([CHANNEL])
        if delivery is None:
            return
        try:
            channel, content, seconds = read_delayed(delivery.content)
        except (TypeError, ValueError) as error:
            self._layer.statistics.count_dropped(CHANNEL, "malformed", str(error))
            return
        self._insert(self._layer.clock() + seconds, self._layer.prepare(channel, content))

    def _send(self) -> None:
        _, send = self._kept.pop(0)
        if self._layer.send_many([send]):
            self._insert(self._layer.clock() + FULL_PAUSE, send)

    def _insert(self, due: float, send: Send) -> None:
        bisect.insort(self._kept, (due, send), key=lambda kept: kept[0])
