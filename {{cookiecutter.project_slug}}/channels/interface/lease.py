"""
Keep the channel layer's picture of this process true.

The process says every few seconds that it is alive. When it is killed it says nothing more; then the layer tells the
consumers of the end of its connections, by the last wills that were left with it. And when the layer has lost its
data, the process notices within the same seconds, and registers its connections and their groups again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Protocol

from ..layers.base import BaseChannelLayer, Lease, Send

logger = logging.getLogger(__name__)

# Memberships are renewed so many times within the life of one.
_RENEWALS = 3
# With a lease, each membership is renewed once in so many turns, in case the store has lost a single key.
_ROUNDS = 5

Wills = list[tuple[str, Send | None]]


class Registered(Protocol):
    """What of this process the layer has to know."""

    queue: str
    # Whether changes of memberships may have been lost on their way from the layer.
    unsure: bool

    def memberships(self) -> Iterable[tuple[str, str]]:
        """Return the memberships of the open connections as ``(group, local part)``."""

    def take_wills(self, again: bool) -> Wills:
        """Return the last wills that the layer does not have yet, or all of them ``again``, by local parts."""


class LeaseKeeper:
    """Renews the lease and the memberships of one process. ``on_lost`` is called when it was taken for dead."""

    def __init__(self, layer: BaseChannelLayer, registered: Registered, on_lost: Callable[[], None]) -> None:
        self._layer = layer
        self._registered = registered
        self._on_lost = on_lost
        # Whether the layer has known this process before.
        self._known = False
        self._round = 0

    async def keep(self) -> None:
        """Do so for ever. A layer that fails is asked again at the next turn."""
        layer = self._layer
        # Without a lease: often enough for memberships, and soon after this process was stalled for so long that its
        # messages expired, and with them its memberships.
        interval = layer.lease_interval or min(layer.group_expiry / _RENEWALS, layer.expiry / 2)
        while True:
            try:
                await self.renew()
            except Exception:
                logger.exception("Renewing the lease of this process failed; the next try follows")
            await asyncio.sleep(interval)

    async def renew(self) -> None:
        """Renew the lease, and what hangs on it."""
        queue = self._registered.queue
        lease = await self._layer.renew_lease(queue)
        if lease is Lease.LOST:
            self._on_lost()
            return
        if lease is Lease.KEPT and self._registered.unsure:
            self._registered.unsure = False
            await self._layer.restate_memberships(queue)
            return
        wills = self._registered.take_wills(again=lease is Lease.NEW)
        if lease is Lease.NEW and self._known:
            logger.warning("The channel layer has lost its data; %d connections are registered again", len(wills))
        memberships = list(self._registered.memberships())
        if lease is Lease.KEPT and self._layer.lease_interval is not None:
            self._round = (self._round + 1) % _ROUNDS
            memberships = memberships[self._round :: _ROUNDS]
        if memberships:
            await self._layer.renew_groups(queue, memberships)
        if wills:
            await self._layer.set_wills(queue, wills)
        self._known = True
