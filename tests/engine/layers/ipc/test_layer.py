"""The IPC layer: the contract of all layers, and what is its own."""

import asyncio
import importlib
import sys
import time

import pytest

from channels.exceptions import InvalidChannelLayerError
from channels.layers.ipc import IPCChannelLayer
from channels.layers.joined_sends import GAP
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


def count_visits(layer, monkeypatch):
    """Return a list that grows with each visit of a layer to its map."""
    visits, visit = [], layer.store.visit

    def counting(*arguments):
        visits.append(arguments)
        return visit(*arguments)

    monkeypatch.setattr(layer.store, "visit", counting)
    return visits


def test_what_sockets_send_at_the_same_time_enters_the_map_in_one_visit(make_ipc, monkeypatch):
    ipc = make_ipc(capacity=60)
    visits = count_visits(ipc, monkeypatch)
    sends = [ipc.prepare("full" if number < 70 else "other", {"number": number}) for number in range(80)]

    async def send_all():
        return await asyncio.gather(*(ipc.send_many_async([send]) for send in sends))

    refused = asyncio.run(send_all())

    assert len(visits) == 1
    # Each hears of its own.
    assert [bool(mine) for mine in refused] == [False] * 60 + [True] * 10 + [False] * 10
    # Another loop has its own batches.
    assert asyncio.run(send_all())[-1] == []


def test_an_event_loop_lets_some_time_pass_before_it_visits_the_map_again(make_ipc, monkeypatch):
    monkeypatch.setattr("channels.layers.ipc.readers.QUEUE_BATCH", 1)
    ipc, queue, replies = make_ipc(), "reply.0123456789abcdef!", 20
    ipc.send_many([ipc.prepare(queue + "socket", {"number": number}) for number in range(replies)])

    async def read_all():
        loop = asyncio.get_running_loop()
        began = loop.time()
        read = [entry for _ in range(replies) for entry in await ipc.read_queue(queue)]
        return [entry.content["number"] for entry in read], loop.time() - began

    numbers, seconds = asyncio.run(read_all())

    assert numbers == list(range(replies))
    assert seconds > 0.9 * GAP * (replies - 1)
