"""The servers of a layer: how each is reached."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import redis
import redis.asyncio
import redis.asyncio.connection
import redis.connection

from ...exceptions import InvalidChannelLayerError
from ...outage import Outage
from .asides import Asides
from .thread_links import ThreadLinks

Host = str | tuple[str, int] | dict[str, Any]


class StoreHost:
    """
    One store, given as its name in the log and as functions that make connections of redis-py to it.

    Each thread has a connection of its own, and each event loop has some.
    """

    def __init__(
        self, name: str, make_thread_connection: Callable[[], Any], make_loop_connection: Callable[[], Any]
    ) -> None:
        self.asides = Asides(name)
        self.threads = ThreadLinks(make_thread_connection, self.asides)
        # For what cannot wait until the connection of a thread is free.
        self.control = ThreadLinks(make_thread_connection, self.asides)
        self.make_loop_connection = make_loop_connection
        self.outage = Outage(name)

    def seconds(self) -> float:
        """Return the time by the store's clock, without asking it."""
        return self.asides.seconds()


class RedisHost(StoreHost):
    """
    One server, given as a URL, a pair of address and port, or arguments for a redis-py connection.

    Among arguments, ``path`` means a Unix socket, and ``ssl`` true means TLS. Raises ``InvalidChannelLayerError``.
    """

    def __init__(self, host: Host, arguments: dict[str, Any]) -> None:
        try:
            # The pools only know how to connect.
            for_threads, for_loops = _pools(host, arguments)
            # Arguments that redis-py does not know are told by a connection, which is made without connecting.
            for_threads.connection_class(**for_threads.connection_kwargs)
        except (TypeError, ValueError) as error:
            raise InvalidChannelLayerError(f"A host of the channel layer is no address: {error}") from error
        known = for_threads.connection_kwargs
        super().__init__(
            f"Redis at {known.get('path') or '{}:{}'.format(known.get('host'), known.get('port', 6379))}",
            lambda: for_threads.connection_class(**for_threads.connection_kwargs),
            lambda: for_loops.connection_class(**for_loops.connection_kwargs),
        )


def _require_database(url: str) -> None:
    """Refuse a path that is no number: redis-py would take the database 0."""
    parts = urlsplit(url)
    database = parts.path.strip("/")
    if parts.scheme != "unix" and database and not database.isdecimal():
        raise ValueError(
            f"its database is {database!r}; expected a number, as in redis://localhost:6379/0. "
            "Change it in CHANNEL_LAYER_URL, or in the hosts in CHANNEL_LAYERS."
        )


def _pools(host: Host, arguments: dict[str, Any]) -> tuple[Any, Any]:
    if isinstance(host, str):
        _require_database(host)
        return redis.ConnectionPool.from_url(host, **arguments), redis.asyncio.ConnectionPool.from_url(
            host, **arguments
        )
    own = {**arguments, **(host if isinstance(host, dict) else dict(zip(("host", "port"), host, strict=True)))}
    encrypted = own.pop("ssl", False)
    kind = "UnixDomainSocketConnection" if "path" in own else "SSLConnection" if encrypted else "Connection"
    return (
        redis.ConnectionPool(getattr(redis.connection, kind), **own),
        redis.asyncio.ConnectionPool(getattr(redis.asyncio.connection, kind), **own),
    )
