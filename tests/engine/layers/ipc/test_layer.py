"""The IPC layer: the contract of all layers, and what is its own."""

import time

import pytest

from channels.layers.ipc import IPCChannelLayer
from channels.test.conformance import ChannelLayerConformance

from ..fake_clock import FakeClock

SIZE = 8 * 2**20


class TestIPCChannelLayer(ChannelLayerConformance):
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path):
        self.path = tmp_path
        self.number = 0
        self.clock = FakeClock()

    def make_layer(self, **options):
        self.number += 1
        self.options = options
        return self.another()

    def another(self):
        return IPCChannelLayer(self.path, prefix=str(self.number), size=SIZE, clock=self.clock, **self.options)

    def other_process(self, layer):
        return self.another()

    def advance(self, layer, seconds):
        self.clock.advance(seconds)

    def recipe(self, layer):
        # That of other processes, too.
        layer.clock = time.monotonic
        return "channels.layers.ipc.IPCChannelLayer", {"path": str(self.path), "prefix": str(self.number), "size": SIZE}
