"""
Turn the URL of a channel layer, as it stands in the environment, into an entry of ``CHANNEL_LAYERS``.

    memory://                      channels.layers.inmemory.InMemoryChannelLayer

Numbers of the layer's configuration may follow as a query: ``memory://?capacity=1000&expiry=30``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

from ..exceptions import InvalidChannelLayerError

# Layers known by a scheme: the class, and how the rest of the URL becomes its configuration.
_SCHEMES: dict[str, tuple[str, Callable[[SplitResult], dict[str, Any]]]] = {
    "memory": ("channels.layers.inmemory.InMemoryChannelLayer", lambda parts: {}),
}
_NUMBERS: dict[str, Callable[[str], float]] = {
    "expiry": float,
    "group_expiry": float,
    "capacity": int,
    "max_message_size": int,
}


def from_url(url: str, routing: Any = ()) -> dict[str, Any]:
    """
    Return ``{"BACKEND": …, "CONFIG": …, "ROUTING": …}`` for a channel layer's URL.

    Raises ``InvalidChannelLayerError`` for a scheme or an option that is not known.
    """
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES:
        known = ", ".join(f"{scheme}://" for scheme in _SCHEMES)
        raise InvalidChannelLayerError(
            f"The channel layer URL has the scheme {parts.scheme!r}; expected one of {known}. "
            "Change CHANNEL_LAYER_URL in the environment or in .env."
        )
    backend, configure = _SCHEMES[parts.scheme]
    return {"BACKEND": backend, "CONFIG": {**configure(parts), **_numbers(parts.query)}, "ROUTING": routing}


def _numbers(query: str) -> dict[str, Any]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    unknown = sorted(set(options) - set(_NUMBERS))
    if unknown:
        raise InvalidChannelLayerError(
            f"The channel layer URL has the option {unknown[0]!r}; expected one of {', '.join(_NUMBERS)}."
        )
    try:
        return {name: _NUMBERS[name](value) for name, value in options.items()}
    except ValueError as error:
        raise InvalidChannelLayerError(f"An option of the channel layer URL is no number: {error}.") from error
