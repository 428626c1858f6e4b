"""
Make channel layers from ``CHANNEL_LAYERS``, and the objects through which the project uses them.

A wrapper is the layer itself plus its alias, its router, and an ASGI 3 application that serves HTTP and
WebSocket over it. The router is made when a worker first asks: an interface server never imports a consumer.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import django
from django.conf import settings

from .channel import DEFAULT_CHANNEL_LAYER
from .exceptions import InvalidChannelLayerError
from .interface.limits import Limits
from .layers.base import BaseChannelLayer
from .layers.url import from_url
from .routing import Router, import_target

if TYPE_CHECKING:
    from .interface.application import InterfaceApplication

__all__ = ["ChannelLayerManager", "ChannelLayerWrapper", "channel_layers", "from_url", "get_channel_layer"]

# The dotted paths of the layers of Channels 1, so that its settings go on working.
_MEMORY = "channels.layers.inmemory.InMemoryChannelLayer"
_REDIS = "channels.layers.redis.RedisChannelLayer"
_SENTINEL = "channels.layers.redis.RedisSentinelChannelLayer"
_OLD_BACKENDS = {
    "asgiref.inmemory.ChannelLayer": _MEMORY,
    "asgi_redis.RedisChannelLayer": _REDIS,
    "asgi_redis.core.RedisChannelLayer": _REDIS,
    "asgi_redis.RedisLocalChannelLayer": _REDIS,
    "asgi_redis.local.RedisLocalChannelLayer": _REDIS,
    "asgi_redis.RedisSentinelChannelLayer": _SENTINEL,
    "asgi_redis.sentinel.RedisSentinelChannelLayer": _SENTINEL,
}
# Arguments of theirs that would change nothing: statistics lie below the layer's prefix, and sentinels are asked anew
# for every connection.
_OLD_ARGUMENTS = {"stats_prefix", "sentinel_refresh_interval"}
# The packages of those that have no successor.
_GIVEN_UP = {"asgi_ipc", "asgi_rabbitmq"}
_KEYS = {"BACKEND", "CONFIG", "ROUTING", "TEST_CONFIG"}


class ChannelLayerWrapper:
    """A channel layer with its alias and router; it is an ASGI 3 application too. The rest is the layer's."""

    def __init__(self, channel_layer: BaseChannelLayer, alias: str, routing: Any = ()) -> None:
        self.channel_layer = channel_layer
        self.alias = alias
        self.routing = routing
        self.worker_threads = 0
        self._lock = threading.RLock()
        self._router: Router | None = None
        self._application: InterfaceApplication | None = None

    @property
    def router(self) -> Router:
        """Which consumer takes which message. Made on first use."""
        router = self._router
        if router is None:
            with self._lock:
                router = self._router = self._router or self.make_router()
        return router

    def make_router(self) -> Router:
        """Make a new router as configured. Raises ``InvalidChannelLayerError``."""
        return Router(self.routing)

    @property
    def application(self) -> InterfaceApplication:
        """The ASGI application that serves this layer. Made on first use."""
        from .interface.application import InterfaceApplication

        with self._lock:
            if self._application is None:
                limits = Limits.from_settings(settings)
                script_name = settings.FORCE_SCRIPT_NAME or ""
                self._application = InterfaceApplication(self.channel_layer, limits, self._start_workers, script_name)
            return self._application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one connection, as an ASGI 3 application does."""
        await self.application(scope, receive, send)

    def _start_workers(self) -> Any:
        if not self.worker_threads:
            return None
        from .worker import start_embedded_workers

        return start_embedded_workers(self, self.worker_threads)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.channel_layer, name)

    def __repr__(self) -> str:
        return f"<ChannelLayerWrapper {self.alias}: {type(self.channel_layer).__name__}>"


class ChannelLayerManager:
    """The channel layers of the project by alias, each made on first use."""

    def __init__(self) -> None:
        self._layers: dict[str, ChannelLayerWrapper] = {}
        self._lock = threading.RLock()

    @property
    def configs(self) -> Mapping[str, Mapping[str, Any]]:
        """The setting ``CHANNEL_LAYERS``."""
        return getattr(settings, "CHANNEL_LAYERS", {})

    def make_backend(self, alias: str) -> ChannelLayerWrapper:
        """Make a new layer as configured. Raises ``InvalidChannelLayerError``."""
        return self._make(alias, "CONFIG")

    def make_test_backend(self, alias: str) -> ChannelLayerWrapper:
        """Make a new layer with the configuration for tests, ``TEST_CONFIG``."""
        return self._make(alias, "TEST_CONFIG")

    def set(self, alias: str, layer: ChannelLayerWrapper | None) -> ChannelLayerWrapper | None:
        """Put another layer under an alias, None to have it made anew; return the one that was there."""
        with self._lock:
            old = self._layers.pop(alias, None)
            if layer is not None:
                self._layers[alias] = layer
            return old

    def __getitem__(self, alias: str) -> ChannelLayerWrapper:
        layer = self._layers.get(alias)
        if layer is None:
            with self._lock:
                layer = self._layers.get(alias) or self.make_backend(alias)
                self._layers[alias] = layer
        return layer

    def __contains__(self, alias: str) -> bool:
        return alias in self.configs

    def __iter__(self) -> Any:
        return iter(self.configs)

    def _make(self, alias: str, config_key: str) -> ChannelLayerWrapper:
        config = self._config(alias)
        if config_key not in config and config_key == "TEST_CONFIG":
            raise InvalidChannelLayerError(f"CHANNEL_LAYERS[{alias!r}] has no TEST_CONFIG, which tests need.")
        backend, arguments = config["BACKEND"], config.get(config_key, {})
        if backend in _OLD_BACKENDS:
            backend = _OLD_BACKENDS[backend]
            arguments = {name: value for name, value in arguments.items() if name not in _OLD_ARGUMENTS}
        try:
            layer = import_target(backend)(**arguments)
        except TypeError as error:
            raise InvalidChannelLayerError(
                f"CHANNEL_LAYERS[{alias!r}][{config_key!r}] does not fit {backend}: {error}."
            ) from error
        return ChannelLayerWrapper(layer, alias, config["ROUTING"])

    def _config(self, alias: str) -> Mapping[str, Any]:
        if alias not in self.configs:
            known = ", ".join(map(repr, self.configs)) or "none"
            raise InvalidChannelLayerError(f"CHANNEL_LAYERS has no layer {alias!r} (it has: {known}).")
        config = self.configs[alias]
        if "BACKEND" not in config:
            raise InvalidChannelLayerError(
                f"CHANNEL_LAYERS[{alias!r}] has no BACKEND. "
                "Name a layer class, for example 'channels.layers.inmemory.InMemoryChannelLayer'."
            )
        if str(config["BACKEND"]).partition(".")[0] in _GIVEN_UP:
            raise InvalidChannelLayerError(
                f"CHANNEL_LAYERS[{alias!r}] has the BACKEND {config['BACKEND']!r}, a layer of Channels 1 that is not "
                f"there any more. Write {_REDIS!r}, with the hosts of a Redis server in CONFIG; or, where one process "
                f"is all there is, {_MEMORY!r}."
            )
        if "ROUTING" not in config:
            raise InvalidChannelLayerError(
                f"CHANNEL_LAYERS[{alias!r}] has no ROUTING. "
                "Name a list of routes, for example 'config.routing.channel_routing'."
            )
        unknown = sorted(set(config) - _KEYS)
        if unknown:
            raise InvalidChannelLayerError(
                f"CHANNEL_LAYERS[{alias!r}] has the unknown key {unknown[0]!r}; expected {', '.join(sorted(_KEYS))}."
            )
        return config


channel_layers = ChannelLayerManager()


def get_channel_layer(alias: str = DEFAULT_CHANNEL_LAYER, worker_threads: int = 0) -> ChannelLayerWrapper:
    """
    Return a channel layer for ``asgi.py``: what daphne, uvicorn, hypercorn or granian serve.

    ``worker_threads`` above zero runs that many worker threads beside the interface server, in the same
    process: all that a small site on the in-memory layer needs. Otherwise only the settings are loaded, no
    app and no consumer.
    """
    layer = channel_layers[alias]
    # Now, so that a mistake in the settings or in the site ends the start and not the first request.
    Limits.from_settings(settings)
    if worker_threads:
        django.setup()
        layer.worker_threads = worker_threads
    return layer
