"""
Notice the signals that stop a server, before it does.

Servers tell an application of a stop in different ways and at different times: some close all sockets at once, some
wait for open connections first. So that under all of them sockets are closed with code 1012, and not all in the same
moment, the application listens to the signals itself, and hands each on to whoever listened before when that is done.
"""

from __future__ import annotations

import asyncio
import functools
import signal
import threading
from collections.abc import Callable

Action = Callable[[], object]
Begin = Callable[[Action | None], object]


def watch_stop_signals(loop: asyncio.AbstractEventLoop, begin: Begin) -> None:
    """
    At SIGTERM or SIGINT call ``begin`` with what hands the signal on to the handler that was set before.

    With None if that is told at the same time, which a handler of uvloop's own cannot be kept from. A second SIGINT is
    handed on at once: somebody does not want to wait; and so is each when the loop no longer runs, for nothing is left
    to be closed. Where no handler is set, nobody plans a graceful stop, and the signal is left alone. Handlers can only
    be set in the main thread; elsewhere nothing happens.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGTERM, signal.SIGINT):
        previous = signal.getsignal(number)
        # There is no public way to ask for the handlers of an event loop.
        own = getattr(loop, "_signal_handlers", {}).get(number)
        if own is not None:
            loop.add_signal_handler(number, _chain(loop, number, begin, functools.partial(own._callback, *own._args)))
        elif callable(previous):
            is_told_anyway = getattr(previous, "__self__", None) is loop
            hand_on = functools.partial(previous, number, None)
            signal.signal(number, _chain(loop, number, begin, hand_on, is_told_anyway))


def _chain(
    loop: asyncio.AbstractEventLoop, number: int, begin: Begin, hand_on: Action, is_told_anyway: bool = False
) -> Callable[..., None]:
    was_heard = False

    def handle(*arguments: object) -> None:
        nonlocal was_heard
        if loop.is_running() and (not was_heard or number != signal.SIGINT):
            was_heard = True
            begin(None if is_told_anyway else hand_on)
            if not is_told_anyway:
                return
        hand_on()

    return handle
