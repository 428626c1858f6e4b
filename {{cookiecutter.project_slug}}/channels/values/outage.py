"""Log an outage when it begins, once a minute while it lasts, and when it is over."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable

from ..exceptions import ChannelLayerUnavailable

logger = logging.getLogger(__name__)

# Seconds between two lines about the same outage.
INTERVAL = 60.0


class Outage:
    """
    The outages of the channel layer, or of ``what`` else this process cannot reach.

    Whoever uses it tells of every failure and of successes, and of what: it may be that one thing fails while others
    work, and the outage is over when everything that failed works again. ``clock`` returns seconds.
    """

    def __init__(self, what: str = "the channel layer", clock: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._clock = clock
        self._began = 0.0
        # What has failed and has not worked since.
        self._failing: set[str] = set()
        self._changing = threading.Lock()
        self._logged = -math.inf

    def goes_on(self, error: Exception, kind: str = "work") -> None:
        """Take note of a failure of some kind. The traceback is logged where the layer did not expect it."""
        now = self._clock()
        with self._changing:
            if not self._failing:
                self._began, self._logged = now, -math.inf
            self._failing.add(kind)
            due = now - self._logged >= INTERVAL
            if due:
                self._logged = now
        if due:
            known = isinstance(error, ChannelLayerUnavailable)
            text = "This process cannot reach %s, and goes on trying: %s"
            logger.error(text, self._what, error, exc_info=None if known else error)

    def hinders(self, error: Exception, text: str) -> None:
        """Log what could not be done for a failure, and is not tried again; in an outage nobody needs to hear of it."""
        known = isinstance(error, ChannelLayerUnavailable)
        level = logging.DEBUG if known and self._failing else logging.ERROR
        logger.log(level, "%s: %s", text, error, exc_info=None if known else error)

    def lasts(self, kind: str) -> bool:
        """Say whether something of this kind has failed and not worked since."""
        return kind in self._failing

    def is_over(self, kind: str = "work") -> None:
        """Take note of a success of some kind."""
        if kind not in self._failing:
            return
        with self._changing:
            was_last = self._failing == {kind}
            self._failing.discard(kind)
        if was_last:
            logger.warning("This process reaches %s again, after %.1f s", self._what, self._clock() - self._began)
