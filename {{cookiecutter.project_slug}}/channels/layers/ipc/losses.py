"""Count and tell of messages that reached nobody."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

from ...exceptions import ChannelLayerUnavailable
from ...values.names import prefix_of
from ..statistics import DropLog
from .counts import count_dropped

if TYPE_CHECKING:
    from .layer import IPCChannelLayer

_ADVICE = {"expired": "Is a worker or interface server reading it?"}


class Losses:
    """What is lost in this process of what a layer should carry."""

    def __init__(self, layer: IPCChannelLayer) -> None:
        self._layer = layer
        self._log = DropLog(layer.clock)
        self._lock = threading.Lock()
        # What could not be counted in the map yet.
        self._uncounted: Counter[tuple[str, str]] = Counter()

    def count_dropped(self, channel: str, reason: str, advice: str = "", count: int = 1) -> None:
        """Count lost messages, and warn of them once a minute per channel and reason."""
        self._uncounted[channel, reason] += count
        self.warn(channel, reason, advice, count)
        self.save()

    def save(self) -> None:
        """Count in the map what is not there yet."""
        with self._lock:
            uncounted, self._uncounted = self._uncounted, Counter()
        for (channel, reason), number in uncounted.items():
            try:
                self._layer.store.visit(
                    self._layer,
                    lambda visit: count_dropped(visit, channel, reason, number, accepted=False, warns=False),  # noqa: B023
                )
            except ChannelLayerUnavailable:
                self._uncounted[channel, reason] += number

    def warn(self, channel: str, reason: str, advice: str, count: int) -> None:
        """Warn of messages that were counted in the map."""
        if not advice:
            advice = self._layer.describe_full(channel) if reason.startswith("full") else _ADVICE.get(reason, "")
        with self._lock:
            self._log.warn(prefix_of(channel), reason, advice, count)
