"""Send messages from clients into the layer, and wait a bounded time for room where a channel is full."""

from __future__ import annotations

import asyncio
import enum

from ..exceptions import ChannelLayerUnavailable
from ..layers.base import BaseChannelLayer, Send
from ..values.pauses import Pauses

# What an outage is told that an interface process cannot do.
SENDS = "sends"


class _Outcome(enum.Enum):
    TAKEN = "taken"
    FULL = "full"
    FAILED = "failed"


async def dispatch(layer: BaseChannelLayer, send: Send, patience: float = 0.0, outage_patience: float = 0.0) -> bool:
    """
    Send one prepared message; return False if the layer has not taken it.

    A full channel and a layer that fails are tried again for ``patience`` seconds, with growing pauses, the latter for
    ``outage_patience`` seconds if that is longer. A message that may have been sent all the same is never sent again,
    and counts as taken.
    """
    batch = [send]
    outcome = await _attempt(layer, batch)
    if outcome is _Outcome.TAKEN:
        return True
    loop = asyncio.get_running_loop()
    before, started, pauses = outcome, loop.time(), Pauses(0.01, 0.5)
    while outcome is not _Outcome.TAKEN:
        if outcome is not before:
            # After an outage everybody is in a hurry, and the wait for room begins only now.
            before, started = outcome, loop.time()
            pauses.begin_anew()
        limit = max(patience, outage_patience) if outcome is _Outcome.FAILED else patience
        left = started + limit - loop.time()
        if left <= 0:
            return False
        await asyncio.sleep(min(pauses.next(), left))
        outcome = await _attempt(layer, batch)
    return True


async def _attempt(layer: BaseChannelLayer, batch: list[Send]) -> _Outcome:
    try:
        refused = await layer.send_many_async(batch)
    except Exception as error:
        layer.outage.goes_on(error, SENDS)
        if not isinstance(error, ChannelLayerUnavailable) or not error.uncertain:
            return _Outcome.FAILED
        layer.statistics.count_dropped(batch[0].name, "uncertain", "The connection broke while it was sent.")
        return _Outcome.TAKEN
    layer.outage.is_over(SENDS)
    return _Outcome.FULL if refused else _Outcome.TAKEN
