"""Sending for clients: at once where there is room, else for a bounded time."""

import asyncio

import pytest

from channels.exceptions import ChannelLayerUnavailable
from channels.interface.dispatch import dispatch
from channels.layers.inmemory import InMemoryChannelLayer


@pytest.fixture
def layer():
    return InMemoryChannelLayer(capacity=1)


async def test_a_message_is_sent_at_once(layer):
    assert await dispatch(layer, layer.prepare("news", {"text": "1"}))
    assert layer.receive(["news"]) == ("news", {"text": "1"})


async def test_without_patience_a_full_channel_refuses_at_once(layer):
    layer.send("news", {"text": "1"})
    started = asyncio.get_running_loop().time()

    assert not await dispatch(layer, layer.prepare("news", {"text": "2"}))
    assert asyncio.get_running_loop().time() == started


async def test_with_patience_a_message_waits_for_room(layer):
    layer.send("news", {"text": "1"})
    waiting = asyncio.create_task(dispatch(layer, layer.prepare("news", {"text": "2"}), patience=10))
    await asyncio.sleep(9)
    assert not waiting.done()

    layer.receive(["news"])

    assert await waiting
    assert layer.receive(["news"]) == ("news", {"text": "2"})


async def test_patience_ends(layer):
    layer.send("news", {"text": "1"})
    loop = asyncio.get_running_loop()
    started = loop.time()

    assert not await dispatch(layer, layer.prepare("news", {"text": "2"}), patience=10)
    assert loop.time() - started == pytest.approx(10)


async def test_a_layer_that_fails_is_tried_again_and_logged_once(layer, monkeypatch, caplog):
    failures = [OSError("no connection")] * 2
    working = layer.send_many_async

    async def send_many_async(batch):
        if failures:
            raise failures.pop()
        return await working(batch)

    monkeypatch.setattr(layer, "send_many_async", send_many_async)

    assert await dispatch(layer, layer.prepare("news", {"text": "1"}), patience=10)
    assert layer.receive(["news"]) == ("news", {"text": "1"})
    failed, back = caplog.messages
    assert failed == "This process cannot reach the channel layer, and goes on trying: no connection"
    assert back.startswith("This process reaches the channel layer again, after ")


async def test_an_outage_of_the_layer_is_outwaited_longer_than_a_full_channel(layer, monkeypatch):
    working, loop = layer.send_many_async, asyncio.get_running_loop()
    back = loop.time() + 8

    async def send_many_async(batch):
        if loop.time() < back:
            raise ChannelLayerUnavailable("not there")
        return await working(batch)

    monkeypatch.setattr(layer, "send_many_async", send_many_async)

    assert not await dispatch(layer, layer.prepare("news", {"text": "1"}), patience=2)
    assert await dispatch(layer, layer.prepare("news", {"text": "2"}), patience=2, outage_patience=10)
    assert not await dispatch(layer, layer.prepare("news", {"text": "3"}), patience=2, outage_patience=10)
    assert loop.time() < back + 3


async def test_what_may_have_been_sent_counts_as_taken_and_as_uncertain(layer, monkeypatch):
    async def send_many_async(batch):
        raise ChannelLayerUnavailable("The connection broke.", uncertain=True)

    monkeypatch.setattr(layer, "send_many_async", send_many_async)

    assert await dispatch(layer, layer.prepare("news", {"text": "1"}), patience=2)
    assert layer.channel_statistics("news")["dropped"] == {"uncertain": 1}


async def test_after_an_outage_a_message_waits_for_room_as_long_as_ever(layer, monkeypatch):
    working, loop = layer.send_many_async, asyncio.get_running_loop()
    back = loop.time() + 8
    layer.send("news", {"text": "1"})
    loop.call_later(9, layer.receive, ["news"])

    async def send_many_async(batch):
        if loop.time() < back:
            raise ChannelLayerUnavailable("not there")
        return await working(batch)

    monkeypatch.setattr(layer, "send_many_async", send_many_async)

    assert await dispatch(layer, layer.prepare("news", {"text": "2"}), patience=2, outage_patience=10)


async def test_a_message_that_is_not_wanted_any_more_waits_no_longer(layer):
    layer.send("news", {"text": "1"})
    loop, started = asyncio.get_running_loop(), asyncio.get_running_loop().time()
    send = layer.prepare("news", {"text": "2"})

    assert not await dispatch(layer, send, patience=10, is_wanted=lambda: loop.time() < started + 3)
    assert 3 <= loop.time() - started < 3.6
