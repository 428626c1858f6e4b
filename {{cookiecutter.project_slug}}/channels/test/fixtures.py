"""
Fixtures for pytest, with pytest-django.

In a ``conftest.py``: ``pytest_plugins = ["channels.test.fixtures"]``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import modify_settings

from ..registry import DEFAULT_CHANNEL_LAYER, ChannelLayerWrapper, channel_layers
from .cases import memory_layers
from .liveserver import LiveServer, live_layers
from .websocket import WSClient


@pytest.fixture
def channel_aliases() -> list[str]:
    """Return the aliases of the layers that tests get fresh ones for: redefine it to name others."""
    return [DEFAULT_CHANNEL_LAYER]


@pytest.fixture
def channel_layer(channel_aliases: list[str]) -> Iterator[ChannelLayerWrapper]:
    """Put fresh layers in memory in place; give the first one."""
    with memory_layers(channel_aliases):
        yield channel_layers[channel_aliases[0]]


@pytest.fixture
def ws_client(channel_layer: ChannelLayerWrapper) -> WSClient:
    """Return a ``WSClient`` on a fresh layer."""
    return WSClient(channel_layer.alias)


@pytest.fixture
def channel_live_server(transactional_db: None, channel_aliases: list[str]) -> Iterator[LiveServer]:
    """Run the whole site on fresh layers: ``url`` and ``ws_url`` are where it is."""
    allowed = modify_settings(ALLOWED_HOSTS={"append": "localhost"})
    with allowed, live_layers(channel_aliases), LiveServer(aliases=channel_aliases) as server:
        yield server
