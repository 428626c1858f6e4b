"""The IPC layer: the contract of all layers, and what is its own."""

import importlib
import sys
import time

import pytest

from channels.exceptions import InvalidChannelLayerError
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


@pytest.fixture
def unloaded(monkeypatch):
    """The layer as a process has it that has not imported it yet."""
    for name in [name for name in sys.modules if name.startswith("channels.layers.ipc")]:
        monkeypatch.delitem(sys.modules, name)


def test_on_windows_a_sentence_says_what_works_there(monkeypatch, unloaded):
    monkeypatch.setattr(sys, "platform", "win32")

    with pytest.raises(InvalidChannelLayerError, match=r"which Windows does not have. .*memory://.*redis://"):
        importlib.import_module("channels.layers.ipc")


def test_a_package_that_is_missing_is_named(monkeypatch, unloaded):
    monkeypatch.setitem(sys.modules, "lmdb", None)

    with pytest.raises(InvalidChannelLayerError, match=r"needs the package lmdb, .* python -m pip install 'lmdb>="):
        importlib.import_module("channels.layers.ipc")
