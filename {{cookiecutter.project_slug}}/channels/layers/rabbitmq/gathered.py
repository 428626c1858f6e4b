"""Sends of an event loop that go to the I/O thread together, and are confirmed together."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ...exceptions import ChannelLayerUnavailable
from ..base import Send
from .connection import give

if TYPE_CHECKING:
    from .core import Core

# As many batches leave at once: for each, a connection that waited goes on when they are confirmed.
AT_ONCE = 100

# Sends, and who waits to hear which of them were refused.
Batch = tuple[list[Send], asyncio.Future[list[Send]]]


class Gathered:
    """Gathers what is sent while what was sent before is being confirmed."""

    def __init__(self, core: Core, loop: asyncio.AbstractEventLoop, timeout: float) -> None:
        self._core = core
        self._loop = loop
        self._timeout = timeout
        self._waiting: deque[Batch] = deque()
        self._is_busy = False

    async def send(self, sends: list[Send]) -> list[Send]:
        """Send a batch, and return what full channels have refused."""
        told: asyncio.Future[list[Send]] = self._loop.create_future()
        self._waiting.append((sends, told))
        if not self._is_busy:
            self._is_busy = True
            # Others have their turn first, and perhaps something to send.
            self._loop.call_soon(self._leave)
        return await told

    def _leave(self) -> None:
        batches = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
        if not batches:
            self._is_busy = False
            return
        silence = ChannelLayerUnavailable(f"The broker has not answered for {self._timeout:.0f} s.", uncertain=True)
        timer = self._loop.call_later(self._timeout, self._tell, batches, (), silence)

        def done(refused: Sequence[Send], error: Exception | None) -> None:
            call_in(self._loop, self._go_on, timer, batches, refused, error)

        self._core.post(self._core.batches.begin, [send for sends, _ in batches for send in sends], done)

    def _go_on(
        self, timer: asyncio.TimerHandle, batches: Sequence[Batch], refused: Sequence[Send], error: Exception | None
    ) -> None:
        timer.cancel()
        self._tell(batches, refused, error)
        self._leave()

    def _tell(self, batches: Sequence[Batch], refused: Sequence[Send], error: Exception | None) -> None:
        identities = {id(send) for send in refused}
        for sends, told in batches:
            if error is None:
                give(told, [send for send in sends if id(send) in identities])
            elif not told.done():
                told.set_exception(error)


def call_in(loop: asyncio.AbstractEventLoop, call: Callable[..., object], *arguments: Any) -> None:
    """Have a loop call something, unless it was closed, and nobody waits any more."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(call, *arguments)
