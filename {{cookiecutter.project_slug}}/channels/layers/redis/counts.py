"""
Count what passes through the store, there.

The scripts count what lies on ordinary channels, and what workers have finished with, in the step in which it happens:
the difference is what was lost with a worker that was killed. All else is kept here for a while, and saved with
something that is written anyway.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ...values.names import prefix_of
from ..statistics import WINDOW, DropLog

Counts = Mapping[tuple[str, str], int]
# What the script FIGURES returns.
Figures = list[Any]

# Counts are saved no more often than this, in seconds, unless somebody asks for them.
SAVE_INTERVAL = 1.0
_DROPPED = "dropped:"


class StoreCounts:
    """The counts of one process that are not in the store yet, by channel and figure; for any number of threads."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._log = DropLog(clock)
        self._unsaved: Counter[tuple[str, str]] = Counter()
        # The channels of the messages that have been taken since.
        self._sent: list[str] = []
        # The channels of which workers have taken messages lately. Single operations on a set are atomic.
        self._read: set[str] = set()
        self._saved_at = clock()

    def count_sent(self, channels: Sequence[str]) -> None:
        """Count messages that have been taken, by their channels."""
        with self._lock:
            self._sent += channels

    def count_received(self, channel: str, count: int = 1) -> None:
        """Count messages that a reader has taken and finished with."""
        if count:
            with self._lock:
                self._unsaved[prefix_of(channel), "done"] += count

    def note_read(self, prefix: str) -> None:
        """Take note that a worker has taken a message, which a script counts."""
        self._read.add(prefix)

    def count_full(self, channel: str) -> None:
        """Count a message refused by a store that has no memory left."""
        with self._lock:
            self._unsaved[prefix_of(channel), "full"] += 1
            self._unsaved[prefix_of(channel), "rate:full"] += 1

    def count_dropped(self, channel: str, reason: str, advice: str = "", count: int = 1) -> None:
        """Count lost messages, and warn of them once a minute per channel and reason."""
        prefix = prefix_of(channel)
        with self._lock:
            self._unsaved[prefix, _DROPPED + reason] += count
            self._log.warn(prefix, reason, advice, count)

    def warn_dropped(self, channel: str, reason: str, advice: str = "") -> None:
        """Warn of a lost message that a script has counted."""
        with self._lock:
            self._log.warn(prefix_of(channel), reason, advice, 1)

    def count_gone(self, channel: str, reason: str, advice: str = "") -> None:
        """Count a lost message that had been accepted, and that nobody was given."""
        self.count_dropped(channel, reason, advice)
        with self._lock:
            self._unsaved[prefix_of(channel), "gone"] += 1

    @property
    def are_due(self) -> bool:
        """Whether there is something to save, and has been for a while."""
        return bool(self._sent or self._unsaved or self._read) and self._clock() - self._saved_at >= SAVE_INTERVAL

    def take(self) -> Counts:
        """Return what is not in the store yet, for the caller to save it."""
        with self._lock:
            unsaved, self._unsaved = self._unsaved, Counter()
            sent, self._sent = Counter(map(prefix_of, self._sent)), []
            for prefix, count in sent.items():
                unsaved[prefix, "rate:sent"] += count
                # Those on ordinary channels have been counted by the script.
                if "!" in prefix:
                    unsaved[prefix, "sent"] += count
            read, self._read = self._read, set()
            for prefix in list(read):
                # This saves when it was.
                unsaved[prefix, "done"] += 0
            self._saved_at = self._clock()
        return unsaved

    def give_back(self, counts: Counts) -> None:
        """Take back what could not be saved."""
        with self._lock:
            self._unsaved.update(counts)


def statistics_of(parts: Sequence[Figures]) -> dict[str, Any]:
    """Return the statistics that what stores have told comes to."""
    waiting: Counter[str] = Counter()
    for names_and_numbers in (part[0] for part in parts):
        for name, number in zip(names_and_numbers[::2], names_and_numbers[1::2], strict=True):
            waiting[name.decode()] += number
    age = max(part[1] for part in parts) / 1000
    return figures(waiting, age, parts[0][2] / 1000, [counts for part in parts for counts in part[3:]])


def figures(waiting: Mapping[str, int], age: float, now: float, channels: Iterable[Sequence[Any]]) -> dict[str, Any]:
    """
    Return the statistics that the store's figures come to.

    By channel the messages ``waiting``, the oldest for ``age`` seconds, at the store's time ``now``; for each of the
    ``channels`` on each host its name, its messages in the last ten seconds, those of them that found it full, and its
    counts as figure, number and so on.
    """
    sent = full = 0
    counts: Counter[str] = Counter()
    unfinished = Counter({channel: -number for channel, number in waiting.items()})
    last = 0.0
    for channel, recently_sent, recently_full, flat in channels:
        own = Counter({name.decode(): int(number) for name, number in zip(flat[::2], flat[1::2], strict=True)})
        last = max(last, own.pop("last", 0) / 1000)
        sent, full = sent + recently_sent, full + recently_full
        unfinished[channel.decode()] += own["sent"] - own["done"] - own["gone"]
        counts.update(own)
    return {
        "messages_count": counts["sent"],
        "messages_count_per_second": sent / WINDOW,
        "messages_received": counts["done"],
        # What others have counted may be on its way, above all for process queues: it must not hide what is missing
        # elsewhere.
        "messages_unfinished": sum(max(0, number) for name, number in unfinished.items() if not name.endswith("!")),
        "messages_pending": sum(waiting.values()),
        "messages_max_age": age,
        "seconds_since_received": max(0.0, now - last) if last else None,
        "channel_full_count": counts["full"],
        "channel_full_count_per_second": full / WINDOW,
        "dropped": {
            name.removeprefix(_DROPPED): number for name, number in counts.items() if name.startswith(_DROPPED)
        },
    }
