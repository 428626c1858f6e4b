"""
Notice the signals that stop a server.

Servers tell an application of a stop in different ways and at different times: some close sockets without a
word, some wait for open connections first. So that every socket closes with code 1012 under all of them, the
application listens to the signals too, and hands each on to whoever listened before.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType


def watch_stop_signals(callback: Callable[[], object]) -> None:
    """
    Call ``callback`` at SIGTERM or SIGINT, then the handler that was set before.

    Where no Python handler is set, nobody plans a graceful stop, and the signal is left alone. Handlers can
    only be set in the main thread; elsewhere nothing happens.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGTERM, signal.SIGINT):
        previous = signal.getsignal(number)
        if callable(previous):
            signal.signal(number, _chain(callback, previous))


def _chain(
    callback: Callable[[], object], previous: Callable[[int, FrameType | None], object]
) -> Callable[[int, FrameType | None], None]:
    def handle(number: int, frame: FrameType | None) -> None:
        callback()
        previous(number, frame)

    return handle
