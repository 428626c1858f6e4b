"""
Find the messages that were lost with their workers, and tell their sockets.

A worker that is killed says nothing. But the layer knows what waits in its channels, and what living workers say that
they have: a message of a lane that is neither is lost. So a consumer may take as long as it likes.
"""

from __future__ import annotations

import asyncio

from ..layers.base import BaseChannelLayer, UnderWay
from ..values.turn import Turn
from .replies import Replies

# So often, in seconds, messages are looked for that have been under way for ``PATIENCE`` seconds.
INTERVAL = 2.0
PATIENCE = 4.0
# A layer that takes longer to say so, in seconds, is as good as away.
PROMPT = 1.0
# A message that is missed for so long, in seconds, is lost: a worker that has just taken it has said so by then, also
# after an outage, for which everything begins anew.
CERTAINTY = 5.0
# What an outage is told that an interface process cannot do.
LANES = "lanes"


class LaneWatch:
    """Watches over the lanes of one process."""

    def __init__(self, layer: BaseChannelLayer, replies: Replies) -> None:
        self._layer = layer
        self._replies = replies
        # Since when messages have been missed, by reply channel and number.
        self._missed: dict[tuple[str, int | None], float] = {}

    async def keep(self) -> None:
        """Do so for ever."""
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                await self.look()
            except Exception as error:
                self._missed.clear()
                self._layer.outage.goes_on(error, LANES)

    async def look(self) -> None:
        """Look once."""
        now = self._layer.clock()
        overdue = await self._overdue(now)
        began = self._layer.clock()
        lost = []
        # In an outage nothing else would tell that it is over.
        if overdue or self._layer.outage.lasts(LANES):
            lost = await self._layer.find_lost(overdue)
            self._layer.outage.is_over(LANES)
        if self._layer.clock() - began > PROMPT:
            # So slow a layer may not have been told what workers have.
            lost = []
        self._missed = {key: self._missed.get(key, now) for key in (message[1:3] for message in lost)}
        for key, since in self._missed.items():
            if now - since >= CERTAINTY:
                self._replies.lose(*key)

    async def _overdue(self, now: float) -> list[UnderWay]:
        turn, found = Turn(self._layer.clock), []
        for _, connection in self._replies.connections():
            found += connection.overdue(now, PATIENCE)
            if turn.is_over:
                await turn.give_way()
        return found
