"""Send messages from clients into the layer, and wait a bounded time for room where a channel is full."""

from __future__ import annotations

import asyncio
import logging
import random

from ..exceptions import ChannelLayerUnavailable
from ..layers.base import BaseChannelLayer, Content, Send

logger = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 0.01, 0.5


async def dispatch(
    layer: BaseChannelLayer,
    channel: str,
    content: Content,
    patience: float = 0.0,
    reply_channel: str = "",
    will: Send | None = None,
) -> bool:
    """
    Send one message; return False if the layer has not taken it.

    A full channel and a layer that fails are tried again for ``patience`` seconds, with growing pauses. A message
    that may have been sent all the same is never sent again, and counts as taken.
    A message that opens or closes a connection names its ``reply_channel``, and leaves the connection's last will with
    the layer or, without one, has it forgotten. Raises ``MessageTooLarge``.
    """
    batch = [layer.prepare(channel, content)._replace(reply_channel=reply_channel, will=will)]
    loop = asyncio.get_running_loop()
    deadline, pause = loop.time() + patience, _FIRST_PAUSE
    while not await _attempt(layer, batch):
        left = deadline - loop.time()
        if left <= 0:
            return False
        await asyncio.sleep(min(pause * random.uniform(0.5, 1), left))
        pause = min(pause * 2, _LONGEST_PAUSE)
    return True


async def _attempt(layer: BaseChannelLayer, batch: list[Send]) -> bool:
    try:
        return not await layer.send_many_async(batch)
    except ChannelLayerUnavailable as error:
        logger.error("Sending to %s failed: %s", batch[0].name, error)
        if error.uncertain:
            layer.statistics.count_dropped(batch[0].name, "uncertain", "The connection broke while it was sent.")
        return error.uncertain
    except Exception:
        logger.exception("Sending to %s failed", batch[0].name)
        return False
