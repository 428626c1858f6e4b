"""
Wait for signals like for anything else that can be read.

A signal handler runs in the middle of whatever the main thread does, where it may neither lock nor log. So the
handlers here do nothing: the interpreter writes the number of each signal into a socket, and the main thread reads it
from the other end. On Windows only sockets can be waited for.
"""

from __future__ import annotations

import selectors
import signal
import socket
from types import FrameType


class SignalPipe:
    """The signals of some kinds, in the order in which they come. To be made in the main thread."""

    def __init__(self, *numbers: int) -> None:
        self._numbers = frozenset(numbers)
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno())
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
            return [number for number in self._reader.recv(4096) if number in self._numbers]
        except BlockingIOError:
            return []


def _ignore(number: int, frame: FrameType | None) -> None:
    """Do nothing; the socket has the number."""
