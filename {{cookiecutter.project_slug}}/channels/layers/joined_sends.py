"""Sends on an event loop that share a write."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from ..exceptions import ChannelLayerUnavailable
from ..values.turn import Turn
from .base import Send

# Sends, and who waits to hear which of them were refused.
Batch = tuple[list[Send], asyncio.Future[list[Send]]]
Waiting = deque[Batch]

# Below so many seconds between two writes to the store, or two pops, a loop waits; see ``Pace``.
GAP = 0.003
# As many batches leave in one write, or hear at once that they cannot: for each, a connection that waited goes on.
WRITTEN_AT_ONCE = 100


class Pace:
    """
    Keeps a loop from going to the store for every single message while there are many.

    Whoever comes back within ``GAP`` seconds waits until they are over, and finds more to take along; whoever comes
    seldom does not wait.
    """

    def __init__(self) -> None:
        self._last = -GAP

    async def keep(self) -> None:
        """Wait for the rest of the gap since this was last called, if there is one."""
        loop = asyncio.get_running_loop()
        left = self._last + GAP - loop.time()
        if left > 0:
            await asyncio.sleep(left)
        self._last = loop.time()


class JoinedSends:
    """Sends to one host. What is asked for while a write is under way leaves together in the next ones."""

    def __init__(self, send: Callable[[Sequence[Send]], Awaitable[list[Send]]]) -> None:
        self._send = send
        self._waiting: Waiting = deque()
        self._task: asyncio.Task[None] | None = None
        self._pace = Pace()

    def send(self, sends: list[Send]) -> asyncio.Future[list[Send]]:
        """Send a batch; what was refused is told when it has left."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[list[Send]] = loop.create_future()
        self._waiting.append((sends, done))
        if self._task is None:
            self._task = loop.create_task(self._write())
        return done

    async def _write(self) -> None:
        while self._waiting:
            await self._pace.keep()
            batches = _first(self._waiting)
            try:
                refused = await self._send([send for sends, _ in batches for send in sends])
            except Exception as error:
                _fail(batches, error)
                await self._fail_the_rest(error)
            else:
                identities = {id(send) for send in refused}
                for sends, done in batches:
                    if not done.done():
                        done.set_result([send for send in sends if id(send) in identities])
        self._task = None

    async def _fail_the_rest(self, error: Exception) -> None:
        """Have all that waits now fail too, or one write after the other would find out that the store is away."""
        if isinstance(error, ChannelLayerUnavailable):
            # None of it was written, whatever has become of what was.
            certain: Exception = ChannelLayerUnavailable(str(error))
            certain.__cause__ = error
        else:
            certain = error
        rest, self._waiting = self._waiting, deque()
        turn = Turn(asyncio.get_running_loop().time)
        while rest:
            await turn.give_way()
            _fail(_first(rest), certain)


def _first(waiting: Waiting) -> list[Batch]:
    """Take what leaves in one write."""
    return [waiting.popleft() for _ in range(min(WRITTEN_AT_ONCE, len(waiting)))]


def _fail(batches: Sequence[Batch], error: Exception) -> None:
    for _, done in batches:
        if not done.done():
            done.set_exception(error)
