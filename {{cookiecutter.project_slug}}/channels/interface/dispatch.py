"""Send messages from clients into the layer, and wait a bounded time for room where a channel is full."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ..exceptions import ChannelLayerUnavailable
from ..layers.base import BaseChannelLayer, Send
from ..values.pauses import Pauses

# What an outage is told that an interface process cannot do.
SENDS = "sends"


async def dispatch(
    layer: BaseChannelLayer,
    send: Send,
    patience: float = 0.0,
    outage_patience: float = 0.0,
    is_wanted: Callable[[], bool] = lambda: True,
) -> bool:
    """
    Send one prepared message; return False if the layer has not taken it.

    A full channel and a layer that fails are tried again for ``patience`` seconds, with growing pauses, the latter for
    ``outage_patience`` seconds if that is longer, while the message ``is_wanted``. A message that may have been sent
    all the same is never sent again, and counts as taken.
    """
    loop, batch = asyncio.get_running_loop(), [send]
    had_failed: bool | None = None
    while True:
        try:
            refused, has_failed = await layer.send_many_async(batch), False
        except Exception as error:
            layer.outage.goes_on(error, SENDS)
            if isinstance(error, ChannelLayerUnavailable) and error.uncertain:
                layer.statistics.count_dropped(send.name, "uncertain", "The connection broke while it was sent.")
                return True
            has_failed = True
        else:
            layer.outage.is_over(SENDS)
            if not refused:
                return True
        if has_failed is not had_failed:
            # After an outage everybody is in a hurry, and the wait for room begins only now.
            had_failed, started, pauses = has_failed, loop.time(), Pauses(0.01, 0.5)
        left = started + (max(patience, outage_patience) if has_failed else patience) - loop.time()
        if left <= 0:
            return False
        await asyncio.sleep(min(pauses.next(), left))
        if not is_wanted():
            return False
