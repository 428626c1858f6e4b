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
            for_threads = redis.ConnectionPool.from_url(host, **arguments)
            for_loops = redis.asyncio.ConnectionPool.from_url(host, **arguments)
        else:
            own = host if isinstance(host, dict) else {"host": host[0], "port": host[1]}
            for_threads = redis.ConnectionPool(**{**arguments, **own})
            for_loops = redis.asyncio.ConnectionPool(**{**arguments, **own})
        # The pools only know how to connect: each thread, and each task of an event loop, has a connection of its own.
        self.threads = ThreadLinks(lambda: for_threads.connection_class(**for_threads.connection_kwargs))
        self._for_loops = for_loops
        self._lock = threading.Lock()
        self._distance = 0.0
        self._measured = -CLOCK_INTERVAL

    def make_loop_connection(self) -> Any:
        """Return a new connection for an event loop."""
        return self._for_loops.connection_class(**self._for_loops.connection_kwargs)

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
