"""
Keep the collections of garbage short.

Now and then Python looks for garbage in all that a process has, and the event loop stands still meanwhile: with
thousands of sockets, for more than a hundred milliseconds. But what belongs to open sockets is no garbage. So while
sockets are opened, all there is is set aside (``gc.freeze``), and Python looks at what is newer. When as many sockets
have ended as are open there may be garbage in it, and it comes back for one collection.
"""

from __future__ import annotations

import gc

# After so many new sockets what there is is set aside.
SET_ASIDE_AFTER = 100
# Before so many sockets have ended it is not worth a long collection.
LEAST_ENDED = 1000


class Garbage:
    """What of this process is set aside, by the sockets that open and end."""

    def __init__(self) -> None:
        self._opened = 0
        self._ended = 0
        # Which full collection was the last one when all came back: nothing is set aside before the next one.
        self._back_since: int | None = None

    def socket_opens(self) -> None:
        """Take note of a new socket."""
        self._opened += 1
        if self._opened >= SET_ASIDE_AFTER and self._back_since != _full_collections():
            self._opened, self._back_since = 0, None
            gc.freeze()

    def socket_ends(self, left: int) -> None:
        """Take note of the end of a socket; so many connections are ``left``."""
        self._ended += 1
        if self._ended >= max(LEAST_ENDED, left):
            self._ended, self._back_since = 0, _full_collections()
            gc.unfreeze()


def _full_collections() -> int:
    return int(gc.get_stats()[-1]["collections"])
