"""`channels.layers.redis.several.spread`: what some hosts took is not sent again because others have failed."""

import asyncio

import pytest

from channels.exceptions import ChannelLayerUnavailable

from .....services import free_port
from .layers import make_layer


@pytest.fixture
def half_dead(valkey):
    """A layer of two hosts, the second of which nobody can reach."""
    return make_layer([(valkey.host, valkey.port), ("127.0.0.1", free_port())])


@pytest.mark.parametrize("asynchronous", [False, True])
def test_what_one_host_took_is_not_sent_again_because_another_failed(half_dead, asynchronous):
    names = [f"parts?{number}" for number in range(20)]
    reachable = [name for name in names if half_dead._threads._spread.ring.host_of(name) == 0]
    batch = [half_dead.prepare(name, {}) for name in names]

    refused = asyncio.run(half_dead.send_many_async(batch)) if asynchronous else half_dead.send_many(batch)

    assert [send.name for send in refused] == [name for name in names if name not in reachable]
    assert [half_dead.receive([name]) for name in reachable] == [(name, {}) for name in reachable]
    assert reachable


@pytest.mark.parametrize("to_group", [False, True])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_that_no_host_has_taken_anything_is_told(asynchronous, to_group):
    layer = make_layer([("127.0.0.1", free_port()), ("127.0.0.1", free_port())])
    batch = [layer.prepare(f"parts{number}", {}, to_group) for number in range(20)]

    with pytest.raises(ChannelLayerUnavailable) as raised:
        asyncio.run(layer.send_many_async(batch)) if asynchronous else layer.send_many(batch)
    assert raised.value.uncertain is False
    assert layer.statistics.take() == {}
