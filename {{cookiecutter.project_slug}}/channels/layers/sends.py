"""
Hold the sends of a consumer until it has finished.

While a consumer runs, ``Channel.send`` and ``Group.send`` only collect. When it has ended, after an exception
too, everything leaves as one batch per layer: cheaper than one by one, and nothing overtakes what the consumer
saved to the database before it ended.

Where a consumer collects is a context variable, so this holds for its asynchronous code too, in whichever thread that
runs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import ContextVar, Token

from .base import BaseChannelLayer, Send

_held: ContextVar[HeldSends | None] = ContextVar("channels.layers.sends", default=None)


class HeldSends:
    """
    The sends of one running consumer, per layer, in their order.

    They are collected for as long as a ``with`` block runs; sending them is left to the caller. What tasks and threads
    send that outlive it is not taken.
    """

    def __init__(self) -> None:
        # Reentrant: a signal handler may send, too.
        self._lock = threading.RLock()
        self._token: Token[HeldSends | None] | None = None
        # Whether the consumer still runs.
        self.is_open = False
        self._batches: dict[int, tuple[BaseChannelLayer, list[Send]]] = {}
        self._afterwards: list[Callable[[], None]] = []

    def __enter__(self) -> HeldSends:
        self.is_open = True
        self._token = _held.set(self)
        return self

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self.is_open = False
        if self._token is not None:
            _held.reset(self._token)

    def hold(self, layer: BaseChannelLayer, send: Send) -> bool:
        """Keep a prepared send; return False, and keep nothing, if the consumer has ended."""
        with self._lock:
            if self.is_open:
                self._batches.setdefault(id(layer), (layer, []))[1].append(send)
            return self.is_open

    def discard(self, channel: str) -> None:
        """Forget the sends to one channel."""
        with self._lock:
            for _, batch in self._batches.values():
                batch[:] = [send for send in batch if send.name != channel]

    def has(self, channel: str) -> bool:
        """Say whether anything is held for a channel."""
        with self._lock:
            return any(send.name == channel for _, batch in self._batches.values() for send in batch)

    def take(self) -> list[tuple[BaseChannelLayer, list[Send]]]:
        """Return what is held, layer by layer, for the caller to send."""
        with self._lock:
            batches, self._batches = self._batches, {}
        return list(batches.values())

    def call_afterwards(self, action: Callable[[], None]) -> None:
        """Have something done when the sends have left."""
        self._afterwards.append(action)

    def take_actions(self) -> list[Callable[[], None]]:
        """Return what is to be done when the sends have left, for the caller to do."""
        actions, self._afterwards = self._afterwards, []
        return actions

    @property
    def waits(self) -> bool:
        """Whether something waits for the sends to have left."""
        return bool(self._afterwards)


def held_sends() -> HeldSends | None:
    """Return where this context collects its sends, None outside of a consumer and when that has ended."""
    held = _held.get()
    return held if held is not None and held.is_open else None


def after_sends(action: Callable[[], None]) -> None:
    """Do something when what this consumer has sent has left; outside of a consumer at once."""
    held = held_sends()
    if held is None:
        action()
    else:
        held.call_afterwards(action)
