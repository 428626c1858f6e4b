"""The Redis layer over Sentinel: every connection asks the sentinels who the master is now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis.asyncio.retry
import redis.asyncio.sentinel
import redis.retry
import redis.sentinel
from redis.backoff import NoBackoff

from ...exceptions import InvalidChannelLayerError
from .hosts import Host, StoreHost
from .layer import RedisChannelLayer

SENTINEL_PORT = 26379
# What a sentinel's answer may take, in seconds, before the next one is asked.
SENTINEL_TIMEOUT = 1.0


class RedisSentinelChannelLayer(RedisChannelLayer):
    """
    A channel layer over servers that Redis Sentinel watches.

    ``hosts`` are the sentinels, as pairs of address and port, URLs, or dicts of arguments for a redis-py connection;
    ``sentinel_kwargs`` are such arguments for all of them. ``services`` are the names under which they watch masters:
    with several, these share the load like several ``hosts`` of a ``RedisChannelLayer``. ``connection_kwargs`` are
    arguments for the connections to the masters. The rest is that of ``RedisChannelLayer``.
    """

    def __init__(
        self,
        hosts: Sequence[Host] = (),
        services: Sequence[str] = (),
        sentinel_kwargs: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        if not hosts or not services or isinstance(services, str):
            raise InvalidChannelLayerError(
                f"RedisSentinelChannelLayer needs hosts, the sentinels, and services, a list of the names they watch; "
                f"found hosts={hosts!r} and services={services!r}. "
                "For example {'hosts': [('10.0.0.5', 26379)], 'services': ['mymaster']}."
            )
        self._services = services
        self._sentinel_arguments = {
            "socket_timeout": SENTINEL_TIMEOUT,
            "socket_connect_timeout": SENTINEL_TIMEOUT,
            "protocol": 2,
            **(sentinel_kwargs or {}),
        }
        super().__init__(hosts=hosts, **options)

    def make_hosts(self, hosts: Sequence[Host], arguments: dict[str, Any]) -> list[StoreHost]:
        return [SentinelHost(hosts, self._sentinel_arguments, service, arguments) for service in self._services]


class SentinelHost(StoreHost):
    """
    The master of a service, whichever server that is when a connection is made.

    ``sentinel_arguments`` are redis-py's for the connections to the sentinels, ``arguments`` for those to the master.
    """

    def __init__(
        self, sentinels: Sequence[Host], sentinel_arguments: dict[str, Any], service: str, arguments: dict[str, Any]
    ) -> None:
        super().__init__(f"Redis service {service}", self._make_thread_connection, self._make_loop_connection)
        self._sentinels = sentinels
        self._sentinel_arguments = sentinel_arguments
        self._service = service
        self._arguments = arguments

    def _make_thread_connection(self) -> Any:
        return self._make_connection(redis.sentinel, redis.Redis, redis.retry.Retry)

    def _make_loop_connection(self) -> Any:
        return self._make_connection(redis.asyncio.sentinel, redis.asyncio.Redis, redis.asyncio.retry.Retry)

    def _make_connection(self, library: Any, client: Any, retry: Any) -> Any:
        # One try each: the next sentinel may know better, and the layer tries again.
        usual = {"port": SENTINEL_PORT, "retry": retry(NoBackoff(), 0), **self._sentinel_arguments}
        # Each connection has clients of its own: redis-py puts the sentinel that has answered in front, which threads
        # may not do at the same time, and its asynchronous clients belong to one event loop.
        manager = library.Sentinel([])
        manager.sentinels = [
            client.from_url(sentinel, **usual)
            if isinstance(sentinel, str)
            else client(**usual | _arguments_of(sentinel))
            for sentinel in self._sentinels
        ]
        pool = library.SentinelConnectionPool(self._service, manager, **self._arguments)
        connection = pool.connection_class(**pool.connection_kwargs)
        # It has but a weak reference to its pool.
        connection.keeps_alive = pool
        return connection


def _arguments_of(sentinel: tuple[str, int] | dict[str, Any]) -> dict[str, Any]:
    return sentinel if isinstance(sentinel, dict) else {"host": sentinel[0], "port": sentinel[1]}
