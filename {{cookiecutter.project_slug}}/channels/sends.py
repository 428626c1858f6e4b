"""
Hold the sends of a consumer until it has finished.

While a consumer runs, ``Channel.send`` and ``Group.send`` only collect. When it has ended, after an exception
too, everything leaves as one batch per layer: cheaper than one by one, and nothing overtakes what the consumer
saved to the database before it ended.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence

from .exceptions import ChannelLayerUnavailable
from .layers.base import BaseChannelLayer, Content, Send

logger = logging.getLogger(__name__)

# How long the sends of a finished consumer wait for room in full channels, in seconds.
FULL_TIMEOUT = 2.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.01, 0.2

_held = threading.local()


class HeldSends:
    """The sends of one running consumer, per layer, in their order."""

    def __init__(self) -> None:
        self._outer: HeldSends | None = None
        self._batches: dict[int, tuple[BaseChannelLayer, list[Send]]] = {}
        self._afterwards: list[Callable[[], None]] = []

    def __enter__(self) -> HeldSends:
        self._outer = held_sends()
        _held.sends = self
        return self

    def __exit__(self, *exception: object) -> None:
        _held.sends = self._outer

    def __bool__(self) -> bool:
        """Say whether anything is left to do."""
        return bool(self._batches or self._afterwards)

    def hold(self, layer: BaseChannelLayer, send: Send) -> None:
        """Keep a prepared send."""
        self._batches.setdefault(id(layer), (layer, []))[1].append(send)

    def discard(self, channel: str) -> None:
        """Forget the sends to one channel."""
        for _, batch in self._batches.values():
            batch[:] = [send for send in batch if send.name != channel]

    def take(self, layer: BaseChannelLayer) -> list[Send]:
        """Return what is held for one layer, for the caller to send."""
        return self._batches.pop(id(layer), (layer, []))[1]

    def has(self, channel: str) -> bool:
        """Say whether anything is held for a channel."""
        return any(send.name == channel for _, batch in self._batches.values() for send in batch)

    def call_afterwards(self, action: Callable[[], None]) -> None:
        """Have something done when the sends have left."""
        self._afterwards.append(action)

    @property
    def waits(self) -> bool:
        """Whether something waits for the sends to have left."""
        return bool(self._afterwards)

    def flush(self) -> None:
        """
        Send everything, then do what waits for that.

        What a full channel refuses for ``FULL_TIMEOUT`` seconds is logged and counted, what a layer fails to
        send is logged.
        """
        batches, self._batches = self._batches, {}
        actions, self._afterwards = self._afterwards, []
        for layer, batch in batches.values():
            try:
                send_with_patience(layer, batch)
            except Exception:
                logger.exception("The channel layer failed, and %d message(s) of a consumer are lost", len(batch))
        for action in actions:
            action()


def hold_sends() -> HeldSends:
    """Collect the sends of this thread for as long as a ``with`` block runs. Flushing them is left to the caller."""
    return HeldSends()


def held_sends() -> HeldSends | None:
    """Return where this thread collects its sends, None outside of a consumer."""
    return getattr(_held, "sends", None)


def after_sends(action: Callable[[], None]) -> None:
    """Do something when what this consumer has sent has left; outside of a consumer at once."""
    held = held_sends()
    if held is None:
        action()
    else:
        held.call_afterwards(action)


def send_and_receive(
    layer: BaseChannelLayer, batch: list[Send], channels: Sequence[str], timeout: float, finished: str
) -> tuple[str, Content] | tuple[None, None]:
    """
    Do a worker's turn at a layer, whose ``send_and_receive`` says what that is; return what has been received.

    What could not be sent is tried again as ``send_with_patience`` does, also where the layer's failure comes out.
    """
    try:
        refused, received = layer.send_and_receive(batch, channels, timeout, finished)
    except ChannelLayerUnavailable as error:
        if batch:
            send_with_patience(layer, _left_after(error, layer, batch))
        raise
    if refused:
        send_with_patience(layer, refused)
    return received


def send_with_patience(layer: BaseChannelLayer, batch: list[Send]) -> None:
    """
    Send a batch; what cannot be sent for ``FULL_TIMEOUT`` seconds is logged and counted.

    Full channels and a layer that is not there are tried again; what may have been sent all the same is not.
    """
    deadline, pause = time.monotonic() + FULL_TIMEOUT, _FIRST_PAUSE
    left, reason = _attempt(layer, batch)
    while left and time.monotonic() < deadline:
        time.sleep(pause * random.uniform(0.5, 1))
        pause = min(pause * 2, _LONGEST_PAUSE)
        left, reason = _attempt(layer, left)
    for send in left:
        layer.statistics.count_dropped(send.name, reason, layer.describe_full(send.name) if reason == "full" else "")


def _attempt(layer: BaseChannelLayer, batch: list[Send]) -> tuple[list[Send], str]:
    """Send a batch once; return what is left to be sent, and why."""
    try:
        return (layer.send_many(batch), "full") if batch else ([], "")
    except ChannelLayerUnavailable as error:
        return _left_after(error, layer, batch), "the layer is not available"


def _left_after(error: ChannelLayerUnavailable, layer: BaseChannelLayer, batch: list[Send]) -> list[Send]:
    """Return what may be sent again after a failure; what may have been sent all the same is counted."""
    if not error.uncertain:
        return batch
    for send in batch:
        layer.statistics.count_dropped(send.name, "uncertain", f"The connection broke while it was sent: {error}")
    return []
