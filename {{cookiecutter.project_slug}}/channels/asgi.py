"""
Serve a channel layer: what ``asgi.py`` of a project exports.

The layer becomes an ASGI 3 application that turns HTTP and WebSocket into messages. Only the settings are loaded, no
app and no consumer, unless workers are to run in the same process.
"""

from __future__ import annotations

from typing import Any

import django
from django.conf import settings

from .interface.application import InterfaceApplication, no_workers
from .interface.limits import Limits
from .layers.url import from_url
from .registry import DEFAULT_CHANNEL_LAYER, ChannelLayerManager, ChannelLayerWrapper, channel_layers

__all__ = ["ChannelLayerManager", "ChannelLayerWrapper", "channel_layers", "from_url", "get_channel_layer"]


def get_channel_layer(alias: str = DEFAULT_CHANNEL_LAYER, worker_threads: int = 0) -> ChannelLayerWrapper:
    """
    Return a channel layer for ``asgi.py``: what daphne, uvicorn, hypercorn or granian serve.

    ``worker_threads`` above zero runs that many worker threads beside the interface server, in the same process: all
    that a small site on the in-memory layer needs. Raises ``InvalidChannelLayerError``.
    """
    layer = channel_layers[alias]
    # Now, so that a mistake in the settings or in the site ends the start and not the first request.
    limits, script_name = Limits.from_settings(settings), settings.FORCE_SCRIPT_NAME or ""
    if worker_threads:
        django.setup()

    def start_workers() -> Any:
        from .worker import start_embedded_workers

        return start_embedded_workers(layer, worker_threads)

    layer.application = InterfaceApplication(
        layer.channel_layer, limits, start_workers if worker_threads else no_workers, script_name
    )
    return layer
