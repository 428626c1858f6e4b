"""
Turn the URL of a channel layer, as it stands in the environment, into an entry of ``CHANNEL_LAYERS``.

    memory://                      channels.layers.inmemory.InMemoryChannelLayer
    ipc:///path/of/a/folder        channels.layers.ipc.IPCChannelLayer; ipc:// for the usual folder
    redis://host:6379/0            channels.layers.redis.RedisChannelLayer; rediss:// for TLS, unix:// for a
                                   socket, several servers separated by commas
    redis+sentinel://host:26379/service
                                   channels.layers.redis.RedisSentinelChannelLayer; several sentinels, and several
                                   services, separated by commas; rediss+sentinel:// for TLS to all of them

    amqp://user:password@host:5672/virtual-host
                                   channels.layers.rabbitmq.RabbitmqChannelLayer; amqps:// for TLS, several brokers of
                                   a cluster separated by commas

Options of the layer may follow as a query: ``memory://?capacity=1000&expiry=30``. With a Redis URL the rest of the
query is redis-py's: ``rediss://host/0?prefix=shop:&ssl_ca_certs=/etc/ssl/own.pem``. With Sentinel, user and password
are those of the servers, the path may end in a database, and ``sentinel_username``, ``sentinel_password``,
``ssl_ca_certs``, ``ssl_certfile`` and ``ssl_keyfile`` may follow:
``redis+sentinel://user:password@host1,host2:26379/service/0?prefix=shop:&sentinel_password=other``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from ..exceptions import InvalidChannelLayerError

_OPTIONS: dict[str, Callable[[str], Any]] = {
    "expiry": float,
    "group_expiry": float,
    "capacity": int,
    "max_message_size": int,
}
_TLS_OPTIONS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")


def _memory(url: str) -> dict[str, Any]:
    _, options = _take_options(url, _OPTIONS)
    return options


def _ipc(url: str) -> dict[str, Any]:
    rest, options = _take_options(url, _OPTIONS | {"prefix": str, "size": int})
    parts = urlsplit(rest)
    path = unquote(parts.netloc + parts.path)
    return {"path": path, **options} if path else options


def _redis(urls: str) -> dict[str, Any]:
    hosts: list[str] = []
    config: dict[str, Any] = {}
    scheme = urls.partition("://")[0]
    for url in map(str.strip, urls.split(",")):
        host, options = _take_options(
            url if "://" in url else f"{scheme}://{url}", {**_OPTIONS, "prefix": str}, rest=True
        )
        hosts.append(host)
        config.update(options)
    return {"hosts": hosts, **config}


def _sentinel(url: str) -> dict[str, Any]:
    encrypted = urlsplit(url).scheme == "rediss+sentinel"
    texts = ("prefix", "sentinel_username", "sentinel_password", *(_TLS_OPTIONS if encrypted else ()))
    rest, options = _take_options(url, _OPTIONS | dict.fromkeys(texts, str))
    parts = urlsplit(rest)
    login, _, addresses = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    services, _, database = parts.path.strip("/").partition("/")
    if not addresses or not services:
        raise InvalidChannelLayerError(
            "The channel layer URL names no sentinel, or no service that the sentinels watch; "
            f"expected for example {parts.scheme}://10.0.0.5:26379,10.0.0.6:26379/mymaster."
        )
    tls = {"ssl": encrypted, **{name: options.pop(name) for name in _TLS_OPTIONS if name in options}}
    own = {"username": options.pop("sentinel_username", ""), "password": options.pop("sentinel_password", ""), **tls}
    masters = {"username": unquote(user), "password": unquote(password), "db": _number(database or "0"), **tls}
    return {
        "hosts": [_address(address) for address in addresses.split(",")],
        "services": [service.strip() for service in services.split(",")],
        "connection_kwargs": {name: value for name, value in masters.items() if value},
        "sentinel_kwargs": {name: value for name, value in own.items() if value},
        **options,
    }


def _rabbitmq(url: str) -> dict[str, Any]:
    rest, options = _take_options(url, {**_OPTIONS, "prefix": str}, rest=True)
    head, _, query = rest.partition("?")
    scheme, _, place = head.partition("://")
    login, at, others = place.rpartition("@")
    addresses, slash, path = others.partition("/")
    end = slash + path + (f"?{query}" if query else "")
    return {"hosts": [f"{scheme}://{login}{at}{address.strip()}{end}" for address in addresses.split(",")], **options}


def _address(text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text.strip()}")
    try:
        return parts.hostname or "localhost", parts.port or 26379
    except ValueError as error:
        raise InvalidChannelLayerError(f"{text!r} in the channel layer URL is no host and port: {error}.") from error


def _number(database: str) -> int:
    try:
        return int(database)
    except ValueError as error:
        raise InvalidChannelLayerError(
            f"The channel layer URL ends in the database {database!r}; expected a number."
        ) from error


_MEMORY = ("channels.layers.inmemory.InMemoryChannelLayer", _memory)
_IPC = ("channels.layers.ipc.IPCChannelLayer", _ipc)
_REDIS = ("channels.layers.redis.RedisChannelLayer", _redis)
_SENTINEL = ("channels.layers.redis.RedisSentinelChannelLayer", _sentinel)
_RABBITMQ = ("channels.layers.rabbitmq.RabbitmqChannelLayer", _rabbitmq)
_SCHEMES = {
    "memory": _MEMORY,
    "ipc": _IPC,
    "redis": _REDIS,
    "rediss": _REDIS,
    "unix": _REDIS,
    "redis+sentinel": _SENTINEL,
    "rediss+sentinel": _SENTINEL,
    "amqp": _RABBITMQ,
    "amqps": _RABBITMQ,
}


def from_url(url: str, routing: Any = ()) -> dict[str, Any]:
    """
    Return ``{"BACKEND": …, "CONFIG": …, "ROUTING": …}`` for a channel layer's URL.

    Raises ``InvalidChannelLayerError`` for a scheme or an option that is not known.
    """
    scheme = urlsplit(url).scheme
    if scheme not in _SCHEMES:
        known = ", ".join(f"{scheme}://" for scheme in _SCHEMES)
        raise InvalidChannelLayerError(
            f"The channel layer URL has the scheme {scheme!r}; expected one of {known}. "
            "Change CHANNEL_LAYER_URL in the environment or in .env."
        )
    backend, configure = _SCHEMES[scheme]
    return {"BACKEND": backend, "CONFIG": configure(url), "ROUTING": routing}


def _take_options(url: str, known: dict[str, Callable[[str], Any]], rest: bool = False) -> tuple[str, dict[str, Any]]:
    """Return a URL without the options of the layer, and these; with ``rest``, unknown options stay in the URL."""
    parts = urlsplit(url)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    unknown = [(name, value) for name, value in pairs if name not in known]
    if unknown and not rest:
        raise InvalidChannelLayerError(
            f"The channel layer URL has the option {unknown[0][0]!r}; expected one of {', '.join(known)}."
        )
    try:
        options = {name: known[name](value) for name, value in pairs if name in known}
    except ValueError as error:
        raise InvalidChannelLayerError(f"An option of the channel layer URL is no number: {error}.") from error
    # Not put together from its parts: a Unix socket's URL would lose the slashes of its empty host.
    return url.partition("?")[0] + (f"?{urlencode(unknown)}" if unknown else ""), options
