"""
Turn the URL of a channel layer, as it stands in the environment, into an entry of ``CHANNEL_LAYERS``.

    memory://                      channels.layers.inmemory.InMemoryChannelLayer
    redis://host:6379/0            channels.layers.redis.RedisChannelLayer; rediss:// for TLS, unix:// for a
                                   socket, several servers separated by commas

Options of the layer may follow as a query: ``memory://?capacity=1000&expiry=30``. With a Redis URL the rest of the
query is redis-py's: ``rediss://host/0?prefix=shop:&ssl_ca_certs=/etc/ssl/own.pem``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from ..exceptions import InvalidChannelLayerError

_OPTIONS: dict[str, Callable[[str], Any]] = {
    "expiry": float,
    "group_expiry": float,
    "capacity": int,
    "max_message_size": int,
}


def _memory(url: str) -> dict[str, Any]:
    _, options = _take_options(url, _OPTIONS)
    return options


def _redis(urls: str) -> dict[str, Any]:
    hosts: list[str] = []
    config: dict[str, Any] = {}
    scheme = urls.partition("://")[0]
    for url in urls.split(","):
        host, options = _take_options(
            url if "://" in url else f"{scheme}://{url}", {**_OPTIONS, "prefix": str}, rest=True
        )
        hosts.append(host)
        config.update(options)
    return {"hosts": hosts, **config}


_MEMORY = ("channels.layers.inmemory.InMemoryChannelLayer", _memory)
_REDIS = ("channels.layers.redis.RedisChannelLayer", _redis)
_SCHEMES = {"memory": _MEMORY, "redis": _REDIS, "rediss": _REDIS, "unix": _REDIS}


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
    return urlunsplit(parts._replace(query=urlencode(unknown))), options
