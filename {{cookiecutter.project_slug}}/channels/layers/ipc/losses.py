"""Messages that reached nobody, and were noticed by others than the map."""

from __future__ import annotations

import threading
from collections import Counter

from ...exceptions import ChannelLayerUnavailable
from ..base import BaseChannelLayer
from .counts import count_dropped
from .store import Store
from .visit import Dropped


class Losses:
    """What is lost in this process of what a layer should carry."""

    def __init__(self, store: Store, layer: BaseChannelLayer) -> None:
        self._store = store
        self._layer = layer
        self._lock = threading.Lock()
        # What could not be counted in the map yet.
        self._uncounted: Counter[tuple[str, str]] = Counter()

    def count_dropped(self, channel: str, reason: str, advice: str = "", count: int = 1) -> None:
        """Count lost messages, and warn of them once a minute per channel and reason."""
        self._uncounted[channel, reason] += count
        self._store.warn(self._layer, Dropped(channel, reason, advice, count))
        self.save()

    def save(self) -> None:
        """Count in the map what is not there yet."""
        with self._lock:
            uncounted, self._uncounted = self._uncounted, Counter()
        for (channel, reason), number in uncounted.items():
            try:
                self._store.visit(
                    self._layer,
                    lambda visit: count_dropped(visit, channel, reason, number, accepted=False, warns=False),  # noqa: B023
                )
            except ChannelLayerUnavailable:
                self._uncounted[channel, reason] += number
