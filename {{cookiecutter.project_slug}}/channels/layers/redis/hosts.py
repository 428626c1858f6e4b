"""The servers of a layer: how each is reached, and what its clock says."""

from __future__ import annotations

import threading
import time
from typing import Any

import redis
import redis.asyncio

from .links import ThreadLinks

Host = str | tuple[str, int] | dict[str, Any]

# How often the distance between the store's clock and ours is measured, in seconds.
CLOCK_INTERVAL = 30.0


class RedisHost:
    """One server, given as a URL, a pair of address and port, or arguments for a redis-py connection."""

    def __init__(self, host: Host, arguments: dict[str, Any]) -> None:
        if isinstance(host, str):
            self._threads_pool = redis.ConnectionPool.from_url(host, **arguments)
            self._loops_pool = redis.asyncio.ConnectionPool.from_url(host, **arguments)
        else:
            own = host if isinstance(host, dict) else {"host": host[0], "port": host[1]}
            self._threads_pool = redis.ConnectionPool(**{**arguments, **own})
            self._loops_pool = redis.asyncio.ConnectionPool(**{**arguments, **own})
        self.threads = ThreadLinks(self._threads_pool.make_connection)
        self._lock = threading.Lock()
        self._distance = 0.0
        self._measured = -CLOCK_INTERVAL

    def make_loop_connection(self) -> Any:
        """Return a new connection for an event loop."""
        connection: Any = self._loops_pool.make_connection()  # type: ignore[no-untyped-call]
        return connection

    def seconds(self) -> float:
        """
        Return the time by the store's clock.

        Our own monotonic clock only tells how much has passed since the two were compared: that it may be
        set to another time of day, or that of another machine, decides nothing.
        """
        with self._lock:
            passed = time.monotonic()
            if passed - self._measured >= CLOCK_INTERVAL:
                seconds, microseconds = self.threads.exchange([("TIME",)])[0]
                passed = time.monotonic()
                self._distance = int(seconds) + int(microseconds) / 1_000_000 - passed
                self._measured = passed
            return passed + self._distance
