"""The servers of a layer: how each is reached."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis
import redis.asyncio

from .asides import Asides
from .links import ThreadLinks

Host = str | tuple[str, int] | dict[str, Any]


class StoreHost:
    """
    One store, given as its name in the log and as functions that make connections of redis-py to it.

    Each thread, and each task of an event loop, has a connection of its own.
    """

    def __init__(
        self, name: str, make_thread_connection: Callable[[], Any], make_loop_connection: Callable[[], Any]
    ) -> None:
        self.asides = Asides(name)
        self.threads = ThreadLinks(make_thread_connection, self.asides)
        self.make_loop_connection = make_loop_connection

    def seconds(self) -> float:
        """Return the time by the store's clock, without asking it."""
        return self.asides.seconds()


class RedisHost(StoreHost):
    """One server, given as a URL, a pair of address and port, or arguments for a redis-py connection."""

    def __init__(self, host: Host, arguments: dict[str, Any]) -> None:
        # The pools only know how to connect.
        if isinstance(host, str):
            for_threads = redis.ConnectionPool.from_url(host, **arguments)
            for_loops = redis.asyncio.ConnectionPool.from_url(host, **arguments)
        else:
            own = host if isinstance(host, dict) else {"host": host[0], "port": host[1]}
            for_threads = redis.ConnectionPool(**{**arguments, **own})
            for_loops = redis.asyncio.ConnectionPool(**{**arguments, **own})
        known = for_threads.connection_kwargs
        super().__init__(
            f"Redis at {known.get('path') or '{}:{}'.format(known.get('host'), known.get('port'))}",
            lambda: for_threads.connection_class(**for_threads.connection_kwargs),
            lambda: for_loops.connection_class(**for_loops.connection_kwargs),
        )
