"""Log an outage when it begins, once a minute while it lasts, and when it is over."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable

from .exceptions import ChannelLayerUnavailable

logger = logging.getLogger(__name__)

# Seconds between two lines about the same outage.
INTERVAL = 60.0


class Outage:
    """
    The outages of the channel layer, or of ``what`` else this process cannot reach.

    Whoever uses it tells of every failure, and of successes. ``clock`` returns seconds.
    """

    def __init__(self, what: str = "the channel layer", clock: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._clock = clock
        self._began: float | None = None
        self._logged = -math.inf

    def goes_on(self, error: Exception) -> None:
        """Take note of a failure. The traceback is logged where the layer did not expect it."""
        now = self._clock()
        if self._began is None:
            self._began, self._logged = now, -math.inf
        if now - self._logged >= INTERVAL:
            self._logged = now
            known = isinstance(error, ChannelLayerUnavailable)
            text = "This process cannot reach %s, and goes on trying: %s"
            logger.error(text, self._what, error, exc_info=None if known else error)

    def is_over(self) -> None:
        """Take note of a success."""
        began, self._began = self._began, None
        if began is not None:
            logger.warning("This process reaches %s again, after %.1f s", self._what, self._clock() - began)
