"""The servers of a layer: how each is reached."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import redis
import redis.asyncio
import redis.asyncio.connection
import redis.connection

from ...exceptions import ChannelLayerUnavailable, InvalidChannelLayerError
from ...values.outage import Outage
from .asides import Asides
from .connections import is_silence
from .thread_connections import ThreadConnections

# A host that has failed is left out for so long, in seconds, where others can do its work.
REST = 1.0
# As each attempt to reach a host that does not answer takes long, there are fewer of them.
SILENT_REST = 5.0

Host = str | tuple[str, int] | dict[str, Any]


class StoreHost:
    """
    One store, given as its name in the log and as functions that make connections of redis-py to it.

    Each thread has one of its ``connections``, and event loops have some of their own.
    """

    def __init__(
        self, name: str, make_thread_connection: Callable[[], Any], make_loop_connection: Callable[[], Any]
    ) -> None:
        self.asides = Asides(name)
        self.connections = ThreadConnections(make_thread_connection, self.asides)
        # Here a pop may be left under way, while its thread does other things.
        self.pops = ThreadConnections(make_thread_connection, self.asides)
        self.make_loop_connection = make_loop_connection
        self.outage = Outage(name)
        self._rests_until = 0.0

    @property
    def rests(self) -> bool:
        """Whether the host has failed lately: where others can do its work, they are to be asked."""
        return time.monotonic() < self._rests_until

    def failed(self, error: ChannelLayerUnavailable, kind: str) -> None:
        """Take note that some kind of operation has failed."""
        self._rests_until = time.monotonic() + (SILENT_REST if is_silence(error) else REST)
        self.outage.goes_on(error, kind)

    def works(self, kind: str) -> None:
        """Take note that some kind of operation has worked."""
        self._rests_until = 0.0
        self.outage.is_over(kind)


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
