"""The RabbitMQ layer, over a real broker: the contract of all layers."""

import secrets
import time

import pytest

from channels.layers.rabbitmq import RabbitmqChannelLayer
from channels.test.conformance import ChannelLayerConformance
from channels.test.conformance.receiving import ReceivingPromises


class OverTheBroker:
    @pytest.fixture(autouse=True)
    def server(self, broker):
        self.url = broker.url

    def make_layer(self, **options):
        self.config = {"hosts": [self.url], "prefix": f"test-{secrets.token_hex(6)}:", **options}
        return self.another()

    def another(self):
        layer = RabbitmqChannelLayer(**self.config)
        # To connect takes more than the tests allow for waiting.
        layer.group_channels("any")
        return layer

    def advance(self, layer, seconds):
        time.sleep(seconds)


class TestRabbitmqChannelLayer(OverTheBroker, ChannelLayerConformance):
    expiry = group_expiry = 1
    many = 200

    def recipe(self, layer):
        return "channels.layers.rabbitmq.RabbitmqChannelLayer", self.config


class TestReadersWithConnectionsOfTheirOwn(OverTheBroker, ReceivingPromises):
    """Those of several processes: nothing is shared but the broker."""

    many = 200

    def other_process(self, layer):
        return self.another()
