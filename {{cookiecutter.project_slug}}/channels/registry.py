"""
The channel layers of the project: made from ``CHANNEL_LAYERS`` when they are first used, and found by their aliases.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from django.conf import settings

from .exceptions import InvalidChannelLayerError
from .layers.base import BaseChannelLayer
from .routing import Router, import_target

DEFAULT_CHANNEL_LAYER = "default"

# The dotted paths of the layers of Channels 1, so that its settings go on working.
_MEMORY = "channels.layers.inmemory.InMemoryChannelLayer"
_REDIS = "channels.layers.redis.RedisChannelLayer"
_SENTINEL = "channels.layers.redis.RedisSentinelChannelLayer"
_RABBITMQ = "channels.layers.rabbitmq.RabbitmqChannelLayer"
_IPC = "channels.layers.ipc.IPCChannelLayer"
_OLD_BACKENDS = {
    "asgiref.inmemory.ChannelLayer": _MEMORY,
    "asgi_redis.RedisChannelLayer": _REDIS,
    "asgi_redis.core.RedisChannelLayer": _REDIS,
    "asgi_redis.RedisLocalChannelLayer": _REDIS,
    "asgi_redis.local.RedisLocalChannelLayer": _REDIS,
    "asgi_redis.RedisSentinelChannelLayer": _SENTINEL,
    "asgi_redis.sentinel.RedisSentinelChannelLayer": _SENTINEL,
    "asgi_rabbitmq.RabbitmqChannelLayer": _RABBITMQ,
    "asgi_rabbitmq.core.RabbitmqChannelLayer": _RABBITMQ,
    "asgi_ipc.IPCChannelLayer": _IPC,
    "asgi_ipc.core.IPCChannelLayer": _IPC,
}
# Arguments of theirs that would change nothing: statistics lie below the layer's prefix, sentinels are asked anew for
# every connection, and messages share their memory with groups.
_OLD_ARGUMENTS = {"stats_prefix", "sentinel_refresh_interval", "message_memory", "group_memory"}
_KEYS = {"BACKEND", "CONFIG", "ROUTING", "TEST_CONFIG"}
Application = Callable[[Any, Any, Any], Awaitable[None]]


class ChannelLayerWrapper:
    """
    A channel layer with its alias and router. The rest is the layer's.

    It is an ASGI 3 application too, once it has been given one: see ``asgi.get_channel_layer``.
    """

    application: Application

    def __init__(self, channel_layer: BaseChannelLayer, alias: str, routing: Any = ()) -> None:
        self.channel_layer = channel_layer
        self.alias = alias
        self.routing = routing
        self._lock = threading.RLock()
        self._router: Router | None = None

    @property
    def router(self) -> Router:
        """Which consumer takes which message. Made on first use: an interface server never imports a consumer."""
        router = self._router
        if router is None:
            with self._lock:
                router = self._router = self._router or self.make_router()
        return router

    @router.setter
    def router(self, router: Router) -> None:
        """Put another one in its place, which counts from the next message on."""
        self._router = router

    def make_router(self) -> Router:
        """Make a new router as configured. Raises ``InvalidChannelLayerError``."""
        return Router(self.routing)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one connection, as an ASGI 3 application does."""
        await self.application(scope, receive, send)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.channel_layer, name)

    def __repr__(self) -> str:
        return f"<ChannelLayerWrapper {self.alias}: {type(self.channel_layer).__name__}>"


# What channels send through: a layer, or the project's wrapper around one.
AnyLayer = BaseChannelLayer | ChannelLayerWrapper


def layer_behind(channel_layer: AnyLayer) -> BaseChannelLayer:
    """Return the layer itself, without what the project's wrapper adds to it."""
    return channel_layer.channel_layer if isinstance(channel_layer, ChannelLayerWrapper) else channel_layer


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

    def __iter__(self) -> Iterator[str]:
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
