"""Wait for messages in threads, and have the store looked after meanwhile."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence

from ...values.names import require_readable_name
from ..base import Delivery
from .store import BLOCK

# Every reader looks for dead processes and dead messages so often, in seconds.
LOOK_INTERVAL = 3.0


class Reader:
    """
    What threads wait with.

    ``pop`` takes a message from channels, and waits for one so many seconds at most; ``tend`` does what processes do
    for all others.
    """

    def __init__(self, pop: Callable[[Sequence[str], float], Delivery | None], tend: Callable[[], None]) -> None:
        self._pop = pop
        self._tend = tend
        self._interruptions = 0
        self.next_look = time.monotonic() + LOOK_INTERVAL

    def take(self, channels: Sequence[str], timeout: float | None) -> Delivery | None:
        """Take a message, or wait for one at most ``timeout`` seconds; None: for ever."""
        names = readable(tuple(channels))
        if not names:
            return None
        deadline = None if timeout is None else time.monotonic() + timeout
        interruptions = self._interruptions
        while True:
            self.tend_when_due()
            message = self._pop(names, 0.0)
            if message or timeout == 0:
                return message
            left = BLOCK if deadline is None else min(BLOCK, deadline - time.monotonic())
            if left <= 0 or interruptions != self._interruptions:
                return None
            message = self._pop(names, left)
            if message:
                return message

    def interrupt(self) -> None:
        """Have those who wait come back."""
        self._interruptions += 1

    def tend_when_due(self) -> None:
        """Every few seconds, look after the store."""
        now = time.monotonic()
        if now >= self.next_look:
            self.next_look = now + LOOK_INTERVAL
            self._tend()


@functools.lru_cache(maxsize=1000)
def readable(channels: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names; raise ``InvalidName`` for one that cannot be received from."""
    return tuple(require_readable_name(channel) for channel in channels)
