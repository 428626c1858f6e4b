"""A layer that is measured alone, by its contract."""

import argparse
import threading

import pytest

from benchmarks.layer import WORKLOADS, Sender, make_layer, read
from channels.layers.inmemory import InMemoryChannelLayer

ARGUMENTS = argparse.Namespace(roles={}, duration=0.02, warmup=0, rate=1000, members=3)


@pytest.fixture(scope="module")
def layer():
    layer = make_layer("channels.layers.inmemory.InMemoryChannelLayer")
    # Like the process that it is otherwise, it has no end of its own.
    threading.Thread(target=read, args=[layer], daemon=True).start()
    return layer


@pytest.mark.parametrize("workload", WORKLOADS)
def test_every_workload_counts_what_it_has_done(workload, layer, monkeypatch):
    monkeypatch.setattr("benchmarks.layer.CAPACITY", 200)

    measured = WORKLOADS[workload](Sender(layer, ARGUMENTS))

    assert measured["ops"] > 0
    assert measured["seconds"] > 0
    assert measured["cpu_s_by_role"].keys() == {"sender"}
    assert ("p99_us" in measured) == (workload != "broadcasts")


def test_a_layer_is_made_of_a_url_too():
    assert type(make_layer("memory://?expiry=5")) is InMemoryChannelLayer


def test_a_layer_whose_reader_is_silent_fails_with_a_sentence():
    sender = Sender(InMemoryChannelLayer(), ARGUMENTS)

    with pytest.raises(SystemExit, match=r"The reader has not answered within 0\.01 seconds"):
        sender.ask(sender.layer.send, "bench.pings", patience=0.01)
