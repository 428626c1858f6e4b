"""
Count what passes through a layer, per channel.

Channels with a random or local part are counted together, under what they share. The figures:

    messages_count              messages accepted
    messages_count_per_second   the same per second, over the last ten seconds
    messages_received           messages taken by a reader that has finished with them
    messages_unfinished         messages that a worker is working on, or was when it was killed: lost then
    messages_pending            messages waiting now
    messages_max_age            age of the oldest of them, in seconds
    seconds_since_received      time since a reader last took a message, None if that never happened
    channel_full_count          messages refused because the channel was full
    channel_full_count_per_second
    dropped                     {reason: messages that were accepted or broadcast and yet reached nobody}
"""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, Protocol

from ..values.names import prefix_of

logger = logging.getLogger(__name__)

WINDOW = 10.0
WARNING_INTERVAL = 60.0


class Rate:
    """Counts events and how many there were per second in the last ``WINDOW`` seconds."""

    def __init__(self) -> None:
        self.total = 0
        self._seconds: deque[tuple[int, int]] = deque()

    def add(self, now: float, count: int = 1) -> None:
        """Count events that happen now."""
        self.total += count
        second = int(now)
        if self._seconds and self._seconds[-1][0] == second:
            count += self._seconds.pop()[1]
        self._seconds.append((second, count))
        self._forget(now)

    def per_second(self, now: float) -> float:
        """Return the mean of the last ``WINDOW`` seconds."""
        self._forget(now)
        return sum(count for _, count in self._seconds) / WINDOW

    def _forget(self, now: float) -> None:
        while self._seconds and self._seconds[0][0] <= now - WINDOW:
            self._seconds.popleft()


class CountsDropped(Protocol):
    """What every layer counts with."""

    def count_dropped(self, channel: str, reason: str, advice: str = "", count: int = 1) -> None:
        """Count lost messages, and warn of them once a minute per channel and reason."""


class DropLog:
    """Warns of lost messages, once a minute per channel and reason, with their number until then."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._dropped: Counter[tuple[str, str]] = Counter()
        self._warned_at: dict[tuple[str, str], float] = {}

    def warn(self, channel: str, reason: str, advice: str, count: int) -> None:
        """Note lost messages of a channel. To be called by one thread at a time."""
        key, now = (channel, reason), self._clock()
        self._dropped[key] += count
        if now - self._warned_at.get(key, -WARNING_INTERVAL) >= WARNING_INTERVAL:
            self._warned_at[key] = now
            text = "%d message(s) for channel %s dropped so far (%s). %s"
            logger.warning(text, self._dropped[key], channel, reason, advice)


class _Figures:
    def __init__(self) -> None:
        self.sent = Rate()
        self.full = Rate()
        self.received = 0
        self.unfinished = 0
        self.last_received: float | None = None
        self.dropped: Counter[str] = Counter()


class Statistics:
    """The counters of a layer within one process, for any number of threads."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._log = DropLog(clock)
        self._channels: dict[str, _Figures] = {}

    def count_sent(self, channel: str) -> None:
        """Count an accepted message."""
        with self._lock:
            self._of(channel).sent.add(self._clock())

    def count_received(self, channel: str, count: int = 1) -> None:
        """Count messages taken by a reader."""
        with self._lock:
            figures = self._of(channel)
            figures.received += count
            figures.last_received = self._clock()

    def count_begun(self, channel: str) -> None:
        """Count a received message that its reader has not finished with."""
        with self._lock:
            figures = self._of(channel)
            figures.received -= 1
            figures.unfinished += 1

    def count_finished(self, channel: str) -> None:
        """Count that a reader has finished with such a message."""
        with self._lock:
            figures = self._of(channel)
            figures.received += 1
            figures.unfinished -= 1

    def count_full(self, channel: str) -> None:
        """Count a message refused for want of room."""
        with self._lock:
            self._of(channel).full.add(self._clock())

    def count_dropped(self, channel: str, reason: str, advice: str = "", count: int = 1) -> None:
        """Count lost messages, and warn of them once a minute per channel and reason."""
        with self._lock:
            self._of(channel).dropped[reason] += count
            self._log.warn(prefix_of(channel), reason, advice, count)

    def of_channel(self, channel: str, pending: int, max_age: float) -> dict[str, Any]:
        """Return the figures of a channel, given what waits in it."""
        with self._lock:
            return self._describe([self._of(channel)], pending, max_age)

    def of_all(self, pending: int, max_age: float) -> dict[str, Any]:
        """Return the figures of all channels together."""
        with self._lock:
            return self._describe(list(self._channels.values()), pending, max_age)

    def _of(self, channel: str) -> _Figures:
        prefix = prefix_of(channel)
        figures = self._channels.get(prefix)
        if figures is None:
            figures = self._channels[prefix] = _Figures()
        return figures

    def _describe(self, channels: list[_Figures], pending: int, max_age: float) -> dict[str, Any]:
        now = self._clock()
        times = [figures.last_received for figures in channels if figures.last_received is not None]
        return {
            "messages_count": sum(figures.sent.total for figures in channels),
            "messages_count_per_second": sum(figures.sent.per_second(now) for figures in channels),
            "messages_received": sum(figures.received for figures in channels),
            "messages_unfinished": sum(figures.unfinished for figures in channels),
            "messages_pending": pending,
            "messages_max_age": max_age,
            "seconds_since_received": now - max(times) if times else None,
            "channel_full_count": sum(figures.full.total for figures in channels),
            "channel_full_count_per_second": sum(figures.full.per_second(now) for figures in channels),
            "dropped": dict(sum((figures.dropped for figures in channels), Counter[str]())),
        }
