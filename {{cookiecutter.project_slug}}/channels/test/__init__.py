"""
What projects test their consumers with; ``conformance`` is what layers are tested with.

The fixtures for pytest are in ``channels.test.fixtures``, to be loaded by ``pytest_plugins``.
"""

from .cases import ChannelTestCase, TransactionChannelTestCase, memory_layers
from .client import Client
from .consuming import work
from .liveserver import ChannelLiveServerTestCase
from .routes import apply_routes
from .socket import Socket
from .websocket import ConnectionRejected, HttpClient, WSClient

__all__ = [
    "ChannelLiveServerTestCase",
    "ChannelTestCase",
    "Client",
    "ConnectionRejected",
    "HttpClient",
    "Socket",
    "TransactionChannelTestCase",
    "WSClient",
    "apply_routes",
    "memory_layers",
    "work",
]
