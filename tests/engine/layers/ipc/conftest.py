"""Layers in a folder of their own, whose time passes when a test says so."""

import pytest

from channels.layers.ipc import IPCChannelLayer

from ..fake_clock import FakeClock

SIZE = 8 * 2**20


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def make_ipc(tmp_path, clock):
    def make(**options):
        return IPCChannelLayer(tmp_path, **{"size": SIZE, "clock": clock, **options})

    return make


@pytest.fixture
def ipc(make_ipc, monkeypatch):
    """A layer that is looked after with each message that is asked for."""
    monkeypatch.setattr("channels.layers.ipc.layer.LOOK_AGAIN", 0.0)
    layer = make_ipc()
    layer._next_look = 0.0
    return layer
