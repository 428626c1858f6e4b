"""The Redis layer, over a real server: the contract of all layers, and what is its own."""

import secrets
import time

import pytest

from channels.layers.redis import RedisChannelLayer
from channels.test.conformance import ChannelLayerConformance


class TestRedisChannelLayer(ChannelLayerConformance):
    expiry = group_expiry = 2

    @pytest.fixture(autouse=True)
    def server(self, valkey):
        self.hosts = [(valkey.host, valkey.port)]

    def make_layer(self, **options):
        return RedisChannelLayer(hosts=self.hosts, prefix=f"test-{secrets.token_hex(8)}:", **options)

    def advance(self, layer, seconds):
        time.sleep(seconds)
