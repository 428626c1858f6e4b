"""
Wait for messages, in threads and on event loops, without asking again and again.

Whoever finds nothing leaves a bell there, and sleeps until it rings. If one who was woken is killed before he has taken
the message, it waits for nobody: so each looks again after some seconds.
"""

from __future__ import annotations

import asyncio
import functools
import math
import random
import time
from collections import deque
from collections.abc import Callable, Sequence

from ...values.names import require_readable_name
from ...values.turn import Turn
from ..base import BaseChannelLayer, Delivery, Entry
from ..envelope import UnreadableEntry, unpack
from ..joined_sends import Pace
from . import groups, leases, queues
from .bells import Bell
from .counts import count, count_dropped
from .queues import MESSAGE
from .store import Store
from .visit import Visit

# Whoever waits looks again after so many seconds, and looks for dead processes then.
LOOK_AGAIN = 3.0
# As many entries, or bytes of them, an interface server takes from its process queue at once.
QUEUE_BATCH = 100
QUEUE_BATCH_SIZE = 2**20


class ThreadReader:
    """What the threads of a layer wait with; ``tend`` is called now and then while they do."""

    def __init__(self, store: Store, layer: BaseChannelLayer, tend: Callable[[], None]) -> None:
        self._store = store
        self._layer = layer
        self._tend = tend
        self._waiting: set[Bell] = set()
        self._interruptions = 0

    def take(
        self, channels: Sequence[str], timeout: float | None, before: Callable[[Visit], bool], finishes: bool
    ) -> Delivery | None:
        """
        Take a message from any channel, or wait for one so many seconds; None: for ever.

        What comes ``before`` that happens in the same step, and says whether to wait at all. A worker that ``finishes``
        with the message says so later.
        """
        names = readable(tuple(channels))
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        interruptions = self._interruptions
        self._tend()
        bell = self._store.bell() if names and timeout != 0 else None

        def step(visit: Visit) -> tuple[bool, tuple[str, bytes] | None]:
            will_wait = before(visit) and bell is not None
            popped = self._pop_any(visit, names, finishes)
            if popped is None and will_wait and bell is not None:
                queues.leave_bell(visit, names, bell.name)
            return will_wait, popped

        will_wait, popped = self._store.visit(self._layer, step)
        if popped is not None:
            return self._first_readable(popped, names, finishes)
        if not will_wait or bell is None:
            return None
        return self._wait(names, bell, deadline, interruptions, finishes)

    def interrupt(self) -> None:
        """Have those who wait come back."""
        self._interruptions += 1
        for bell in list(self._waiting):
            bell.ring()

    def _wait(
        self, names: Sequence[str], bell: Bell, deadline: float, interruptions: int, finishes: bool
    ) -> Delivery | None:
        is_over = False

        def step(visit: Visit) -> tuple[str, bytes] | None:
            rung = queues.take_bell_back(visit, names, bell.name)
            popped = self._pop_any(visit, names, finishes)
            if popped is None and not is_over:
                queues.leave_bell(visit, names, bell.name)
            else:
                _hand_over(visit, rung)
            return popped

        try:
            while True:
                self._waiting.add(bell)
                if self._interruptions == interruptions:
                    bell.wait(min(LOOK_AGAIN, deadline - time.monotonic()))
                self._waiting.discard(bell)
                is_over = self._interruptions != interruptions or time.monotonic() >= deadline
                self._tend()
                # Another one if the folder was made anew.
                bell = self._store.bell()
                popped = self._store.visit(self._layer, step)
                if popped is not None:
                    return self._first_readable(popped, names, finishes)
                if is_over:
                    return None
        except BaseException:
            # A signal handler may raise anywhere in here, KeyboardInterrupt for example.
            self._waiting.discard(bell)
            self._store.visit(
                self._layer, lambda visit: _hand_over(visit, queues.take_bell_back(visit, names, bell.name))
            )
            raise

    def _pop_any(self, visit: Visit, names: Sequence[str], finishes: bool) -> tuple[str, bytes] | None:
        # Whichever comes first is served first: so each of them does, now and then.
        first = int(random.random() * len(names))
        for name in (*names[first:], *names[:first]):
            while popped := queues.pop(visit, name):
                if popped.death > visit.now:
                    count(visit, name, done=not finishes, read=1)
                    return name, popped.packed
                count_dropped(visit, name, "expired")
        return None

    def _first_readable(
        self, popped: tuple[str, bytes] | None, names: Sequence[str], finishes: bool
    ) -> Delivery | None:
        """Return the first message from this one on that can be read: others are passed over."""
        while popped is not None:
            if delivery := self._delivery(popped):
                return delivery
            popped = self._store.visit(self._layer, lambda visit: self._pop_any(visit, names, finishes))
        return None

    def _delivery(self, popped: tuple[str, bytes]) -> Delivery | None:
        name, packed = popped
        try:
            entry = unpack(packed)
        except UnreadableEntry as error:
            text = str(error)
            self._store.visit(self._layer, lambda visit: count_dropped(visit, name, "unreadable", advice=text))
            return None
        return Delivery(name, entry.content or {}, entry.ticket)


class QueueReader:
    """What one event loop reads one process queue with."""

    def __init__(self, store: Store, layer: BaseChannelLayer, queue: str, loop: asyncio.AbstractEventLoop) -> None:
        self._store = store
        self._layer = layer
        self._queue = queue
        self._loop = loop
        self._bell: Bell | None = None
        self._woken: asyncio.Future[None] | None = None
        # Whether all memberships are to be told again.
        self._is_to_restate = False
        # What was popped, and what of it is ready: a reader that is cancelled leaves it to the next one.
        self._popped: deque[bytes] = deque()
        self._ready: list[Entry] = []
        self._pace = Pace()

    async def read(self) -> list[Entry]:
        """Wait for entries, and take many of them."""
        # Where there is always more, nobody else on the loop would ever have a turn.
        await asyncio.sleep(0)
        while not self._ready:
            if not self._popped:
                await self._pace.keep()
                if not self._pop():
                    await self._ring()
            await self._unpack()
        entries, self._ready = self._ready, []
        return entries

    def restate(self) -> None:
        """Tell all memberships again."""
        self._is_to_restate = True
        self._wake()

    def close(self) -> None:
        """Wait no more."""
        if self._bell is not None:
            self._loop.remove_reader(self._bell.fileno())
            self._bell = None

    def _pop(self) -> bool:
        """Take what is there; return False if that is nothing, and the bell will ring."""
        belfry = self._store.belfry
        if self._bell is None or not self._bell.hangs_in(belfry):
            self.close()
            self._bell = self._store.new_bell()
            self._loop.add_reader(self._bell.fileno(), self._wake)
        popped, told = self._store.visit(self._layer, self._step)
        self._popped += popped
        self._ready += told
        self._is_to_restate = False
        return bool(popped or told)

    def _step(self, visit: Visit) -> tuple[list[bytes], list[Entry]]:
        queue, taken, size, messages = self._queue, list[bytes](), 0, 0
        told = self._told_anew(visit) if self._is_to_restate else []
        # What waits now is older than that, or says the same.
        while (
            not told and len(taken) < QUEUE_BATCH and size < QUEUE_BATCH_SIZE and (popped := queues.pop(visit, queue))
        ):
            if popped.death > visit.now:
                taken.append(popped.packed)
                size += len(popped.packed)
                messages += popped.kind == MESSAGE
            elif popped.kind == MESSAGE:
                count_dropped(visit, queue, "expired")
        if messages:
            count(visit, queue, done=messages, read=1)
        if not taken and not told and self._bell is not None:
            queues.leave_bell(visit, [queue], self._bell.name)
        return taken, told

    def _told_anew(self, visit: Visit) -> list[Entry]:
        if not leases.has_lease(visit, self._queue):
            return []
        told = [Entry(local, group, joins=True) for group, local in groups.of_queue(visit, self._queue)]
        return [Entry(), *told]

    async def _unpack(self) -> None:
        turn = Turn(self._loop.time)
        while self._popped:
            packed = self._popped.popleft()
            try:
                self._ready.append(unpack(packed))
            except UnreadableEntry as error:
                text = str(error)
                self._store.visit(
                    self._layer,
                    lambda visit: count_dropped(visit, self._queue, "unreadable", advice=text),  # noqa: B023
                )
            # They may be large.
            if turn.is_over and self._popped:
                await turn.give_way()

    async def _ring(self) -> None:
        self._woken = self._loop.create_future()
        timer = self._loop.call_later(LOOK_AGAIN, self._wake)
        try:
            await self._woken
        finally:
            timer.cancel()

    def _wake(self) -> None:
        if self._bell is not None:
            self._bell.be_quiet()
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)


@functools.lru_cache(maxsize=1000)
def readable(channels: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names; raise ``InvalidName`` for one that cannot be received from."""
    return tuple(require_readable_name(channel) for channel in channels)


def _hand_over(visit: Visit, rung: Sequence[str]) -> None:
    """Wake others for what a reader was woken for, and has not taken."""
    for queue in rung:
        if queues.holds_something(visit, queue):
            queues.wake_one(visit, queue)
