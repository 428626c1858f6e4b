"""A real broker for the tests of this folder."""

import secrets

import pytest

from ....brokers import Broker


@pytest.fixture(scope="session")
def broker(tmp_path_factory):
    with Broker(tmp_path_factory.mktemp("rabbitmq")) as running:
        yield running


@pytest.fixture
def prefix():
    return f"test-{secrets.token_hex(6)}:"
