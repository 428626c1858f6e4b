"""
Keep the channel layer's picture of this process true.

The process says every few seconds that it is alive. When it is killed it says nothing more; then the layer tells the
consumers of the end of its connections, by the last wills that were left with it. And when the layer has lost its
data, the process notices within the same seconds, and registers its connections and their groups again.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TypeVar

from ..layers.base import BaseChannelLayer, Lease
from ..values.turn import Turn
from .replies import UPKEEP, Replies

logger = logging.getLogger(__name__)

# Memberships are renewed so many times within the life of one.
_RENEWALS = 3
# With a lease, each membership is renewed once in so many turns, in case the store has lost a single key.
_ROUNDS = 5
# As many memberships or last wills are told in one step.
_TOLD_AT_ONCE = 100

Item = TypeVar("Item")


class LeaseKeeper:
    """Renews the lease and the memberships of one process. ``on_lost`` is called when it was taken for dead."""

    def __init__(self, layer: BaseChannelLayer, replies: Replies, on_lost: Callable[[], None]) -> None:
        self._layer = layer
        self._replies = replies
        self._on_lost = on_lost
        # Whether the layer has once been told everything of this process.
        self._known = False
        # Whether it has to be told everything, for it does not know it, or telling it has failed.
        self._all_again = False
        # Whether it has lost what it knew, and has not been told again.
        self._has_lost = False
        self._round = 0
        # What is under way beside the renewals, by its kind.
        self._apart: dict[str, asyncio.Task[None]] = {}

    async def keep(self) -> None:
        """Do so for ever. A layer that fails is asked again at the next turn."""
        layer = self._layer
        # Without a lease: often enough for memberships, and soon after this process was stalled for so long that its
        # messages expired, and with them its memberships.
        interval = layer.lease_interval or min(layer.group_expiry / _RENEWALS, layer.expiry / 2)
        try:
            while True:
                await self._guarded("lease", self._take_turn)
                await asyncio.sleep(interval)
        finally:
            for task in self._apart.values():
                task.cancel()

    async def _take_turn(self) -> None:
        # A layer that is slow with the rest must not keep us from saying that we are alive.
        try:
            if await self._renew_lease():
                self._do_apart(UPKEEP, self._renew_the_rest)
        finally:
            # Of several hosts, others may answer.
            self._do_apart("tending", self._layer.tend)

    def _do_apart(self, kind: str, turn: Callable[[], Awaitable[None]]) -> None:
        if kind not in self._apart or self._apart[kind].done():
            self._apart[kind] = asyncio.create_task(self._guarded(kind, turn))

    async def _guarded(self, kind: str, turn: Callable[[], Awaitable[None]]) -> None:
        try:
            await turn()
            self._layer.outage.is_over(kind)
        except Exception as error:
            self._layer.outage.goes_on(error, kind)

    async def _renew_lease(self) -> bool:
        """Renew the lease; return whether this process is still the one that had it."""
        lease = await self._layer.renew_lease(self._replies.queue)
        if lease is Lease.LOST:
            self._known = False
            self._on_lost()
        elif lease is Lease.NEW:
            self._all_again, self._has_lost = True, self._known
        return lease is not Lease.LOST

    async def _renew_the_rest(self) -> None:
        # First, or the layer tells us of them once more.
        await self._replies.leave_the_rest()
        queue, again = self._replies.queue, self._all_again
        if self._replies.unsure and not again:
            self._replies.unsure = False
            await self._layer.restate_memberships(queue)
            return
        self._all_again = False
        try:
            # The wills first: a connection that ends meanwhile takes its own back.
            wills = await self._tell_wills(queue, again)
            await self._renew_memberships(queue, again)
        except BaseException:
            self._all_again = True
            raise
        if self._replies.queue != queue:
            return
        self._known = True
        # The loss may have been noticed while we told something else.
        if again and self._has_lost:
            self._has_lost = False
            logger.warning("The channel layer had lost its data; %d connections are registered again", wills)

    async def _tell_wills(self, queue: str, again: bool) -> int:
        """Leave last wills with the layer; return how many."""
        told = 0
        async for some in self._portions(queue, self._replies.connections()):
            wills = [(local, will) for local, each in some if (will := each.take_will(again)) is not None]
            if wills:
                await self._layer.set_wills(queue, wills)
                told += len(wills)
        return told

    async def _renew_memberships(self, queue: str, again: bool) -> None:
        memberships = self._replies.memberships()
        if not again and self._layer.lease_interval is not None:
            self._round = (self._round + 1) % _ROUNDS
            memberships = itertools.islice(memberships, self._round, None, _ROUNDS)
        async for some in self._portions(queue, memberships):
            await self._layer.renew_groups(queue, some)

    async def _portions(self, queue: str, items: Iterable[Item]) -> AsyncIterator[list[Item]]:
        """Iterate over items, a few at a time, while the process has this queue; others have their turn meanwhile."""
        turn, items = Turn(self._layer.clock), iter(items)
        while self._replies.queue == queue and (some := list(itertools.islice(items, _TOLD_AT_ONCE))):
            yield some
            if turn.is_over:
                await turn.give_way()
