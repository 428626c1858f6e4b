"""A real broker for the tests of this folder."""

import os
import secrets

import pytest

from channels.layers.rabbitmq import RabbitmqChannelLayer

from ....brokers import shared_broker


@pytest.fixture(scope="session")
def broker(tmp_path_factory):
    """The one of this test run; ``prefix`` keeps its tests apart."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with shared_broker(folder / "rabbitmq") as running:
        yield running


@pytest.fixture
def prefix():
    return f"test-{secrets.token_hex(6)}:"


@pytest.fixture
def layer(broker, prefix):
    return RabbitmqChannelLayer(hosts=[broker.url], prefix=prefix)
