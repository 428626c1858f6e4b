"""
Wait for signals like for anything else that can be read.

A signal handler runs in the middle of whatever the main thread does, where it may neither lock nor log. So the
handlers here do nothing: the interpreter writes the number of each signal into a pipe, and the main thread reads it.
"""

from __future__ import annotations

import os
import selectors
import signal
from types import FrameType


class SignalPipe:
    """The signals of some kinds, in the order in which they come. To be made in the main thread."""

    def __init__(self, *numbers: int) -> None:
        self._numbers = frozenset(numbers)
        self._reader, writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer)
        for number in numbers:
            signal.signal(number, _ignore)

    def wait(self, timeout: float | None = None, other: int | None = None) -> list[int]:
        """Wait for signals and return their numbers; come back early when the descriptor ``other`` can be read."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._reader, selectors.EVENT_READ)
            if other is not None:
                selector.register(other, selectors.EVENT_READ)
            selector.select(timeout)
        try:
            return [number for number in os.read(self._reader, 4096) if number in self._numbers]
        except BlockingIOError:
            return []


def _ignore(number: int, frame: FrameType | None) -> None:
    """Do nothing; the pipe has the number."""
