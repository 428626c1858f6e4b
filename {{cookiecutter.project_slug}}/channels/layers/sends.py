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
from contextvars import ContextVar, Token

from .base import BaseChannelLayer, Content, Send
from .origin import Origin

_held: ContextVar[HeldSends | None] = ContextVar("channels.sends", default=None)


class HeldSends:
    """
    The sends of one running consumer, per layer, in their order.

    They are collected for as long as a ``with`` block runs; sending them is left to the caller. What tasks and threads
    send that outlive it is not taken. What goes to a channel of the site and names the connection of ``origin`` as its
    ``reply_channel`` takes the channel session along.
    """

    def __init__(self, origin: Origin | None = None) -> None:
        # Reentrant: a signal handler may send, too.
        self._lock = threading.RLock()
        self._token: Token[HeldSends | None] | None = None
        self.origin = origin
        # Whether the consumer still runs.
        self.is_open = False
        # Whether anything takes the session along.
        self._takes_session = False
        self._batches: dict[int, tuple[BaseChannelLayer, list[Send]]] = {}

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
                self._takes_session = self._takes_session or send.ticket is not None
            return self.is_open

    def origin_of(self, layer: BaseChannelLayer, content: Content) -> Origin | None:
        """Return the connection of this consumer's message, if the message that it sends is about that too."""
        origin = self.origin
        if origin is None or content.get("reply_channel") != origin.reply_channel or layer is not origin.layer:
            return None
        return origin

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
        if self.origin is not None and self._takes_session:
            for _, batch in batches.values():
                for number, send in enumerate(batch):
                    if send.ticket is not None and send.ticket.number is None:
                        # Its consumer may have changed the session since.
                        batch[number] = send._replace(ticket=self.origin.ticket_along())
        return list(batches.values())


def held_sends() -> HeldSends | None:
    """Return where this context collects its sends, None outside of a consumer and when that has ended."""
    held = _held.get()
    return held if held is not None and held.is_open else None
