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
from collections import defaultdict
from contextvars import ContextVar, Token

from .base import BaseChannelLayer, Content, Send, Ticket
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
        self._batches: defaultdict[BaseChannelLayer, list[Send]] = defaultdict(list)

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
                self._batches[layer].append(send)
            return self.is_open

    def ticket_along(self, layer: BaseChannelLayer, content: Content) -> Ticket | None:
        """Return the ticket of a message that names the connection of this consumer's message, None of any other."""
        origin = self.origin
        if origin is None or content.get("reply_channel") != origin.reply_channel or layer is not origin.layer:
            return None
        return Ticket(None, origin.session)

    def discard(self, channel: str) -> None:
        """Forget the sends to one channel."""
        with self._lock:
            for batch in self._batches.values():
                batch[:] = [send for send in batch if send.name != channel]

    def has(self, channel: str) -> bool:
        """Say whether anything is held for a channel."""
        with self._lock:
            return any(send.name == channel for batch in self._batches.values() for send in batch)

    def take(self) -> list[tuple[BaseChannelLayer, list[Send]]]:
        """Return what is held, layer by layer, for the caller to send."""
        with self._lock:
            batches, self._batches = self._batches, defaultdict(list)
        for batch in batches.values():
            for number, send in enumerate(batch):
                if self.origin is not None and send.ticket is not None and send.ticket.number is None:
                    # Its consumer may have changed the session since.
                    batch[number] = send._replace(ticket=Ticket(None, self.origin.session))
        return list(batches.items())


def held_sends() -> HeldSends | None:
    """Return where this context collects its sends, None outside of a consumer and when that has ended."""
    held = _held.get()
    return held if held is not None and held.is_open else None
