"""How long messages live, how many a channel takes, and what becomes of batches."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import pytest

from ...exceptions import ChannelFull
from ...layers.base import BaseChannelLayer, Send
from ...values.names import queue_of
from .promises import KINDS, LayerPromises, side_by_side

CAPACITIES = {
    "http.request": 5,
    "jobs.low": 1,
    "jobs.lowest": 4,
    "jobs": 3,
    "wait?a1": 2,
    "waits.a1": 3,
    "socket.x!1": 6,
    "http.request.body?a1": 5,
}


class LimitPromises(LayerPromises):
    """How long messages live, how many a channel takes, and what becomes of batches."""

    @pytest.mark.parametrize("channel", KINDS)
    def test_an_unread_message_vanishes_after_its_expiry(self, channel: str) -> None:
        layer = self.make_layer(expiry=self.expiry)
        layer.send(channel, {"number": 1})
        self.advance(layer, 0.5 * self.expiry)
        layer.send(channel, {"number": 2})

        self.advance(layer, 0.6 * self.expiry)

        assert self.contents(layer, queue_of(channel)) == [{"number": 2}]

    @pytest.mark.parametrize("channel", KINDS)
    def test_a_message_is_there_until_its_expiry(self, channel: str) -> None:
        layer = self.make_layer(expiry=self.expiry)
        layer.send(channel, {"number": 1})

        self.advance(layer, 0.6 * self.expiry)

        assert self.contents(layer, queue_of(channel)) == [{"number": 1}]

    @pytest.mark.parametrize("to_group", [False, True])
    def test_what_its_reader_leaves_in_a_process_queue_expires(self, to_group: bool) -> None:
        layer = self.make_layer(expiry=self.expiry)
        for channel in "reply.x!1", "reply.x!2":
            layer.group_add("room", channel)
        if to_group:
            layer.send_group("room", {})
        else:
            layer.send("reply.x!1", {})
            layer.send("reply.x!2", {})

        first, _ = self.take(layer, "reply.x!")
        self.advance(layer, 1.1 * self.expiry)

        assert first is not None
        assert self.drain(layer, "reply.x!") == []

    @pytest.mark.parametrize("channel", KINDS)
    def test_expired_messages_do_not_fill_a_channel(self, channel: str) -> None:
        layer = self.make_layer(expiry=self.expiry, capacity=2, channel_capacity={"reply.*!": 2})
        for _ in range(2):
            layer.send(channel, {"old": True})
        with pytest.raises(ChannelFull):
            layer.send(channel, {"old": True})

        self.advance(layer, 1.1 * self.expiry)
        for number in range(2):
            layer.send(channel, {"number": number})

        with pytest.raises(ChannelFull):
            layer.send(channel, {"number": 2})
        assert self.contents(layer, queue_of(channel)) == [{"number": 0}, {"number": 1}]

    # Capacity

    @pytest.mark.parametrize("channel", KINDS)
    def test_a_channel_takes_its_capacity_and_no_more(self, channel: str) -> None:
        layer = self.make_layer(capacity=3, channel_capacity={"reply.*!": 3})

        for number in range(3):
            layer.send(channel, {"number": number})
        with pytest.raises(ChannelFull, match="holds 3 messages"):
            layer.send(channel, {"number": 3})
        first = self.take(layer, queue_of(channel))
        layer.send(channel, {"number": 4})
        with pytest.raises(ChannelFull):
            layer.send(channel, {"number": 5})

        assert first == (channel, {"number": 0})
        assert self.contents(layer, queue_of(channel)) == [{"number": 1}, {"number": 2}, {"number": 4}]

    def test_the_channels_of_a_process_queue_share_its_capacity(self) -> None:
        layer = self.make_layer(channel_capacity={"reply.*!": 3})

        for channel in "reply.x!1", "reply.x!2", "reply.x!3":
            layer.send(channel, {})
        with pytest.raises(ChannelFull, match=re.escape("'reply.x!'")):
            layer.send("reply.x!4", {})
        layer.send("reply.y!1", {})

        assert len(self.drain(layer, "reply.x!")) == 3

    def test_single_reader_channels_have_a_capacity_each(self) -> None:
        layer = self.make_layer(capacity=1)

        layer.send("parts?a1", {})
        layer.send("parts?a2", {})

        for channel in "parts?a1", "parts?a2":
            with pytest.raises(ChannelFull):
                layer.send(channel, {})

    def test_patterns_give_channels_another_capacity(self) -> None:
        patterns = {"http.*": 5, re.compile(r"jobs\.(low|high)$"): 1, "jobs.*": 4, "wait?*": 2, "socket.*!": 6}
        layer = self.make_layer(capacity=3, channel_capacity=patterns)

        def room(channel: str) -> int:
            batch = [layer.prepare(channel, {}) for _ in range(10)]
            return 10 - len(layer.send_many(batch))

        assert {channel: room(channel) for channel in CAPACITIES} == CAPACITIES

    def test_racing_writers_never_exceed_the_capacity(self) -> None:
        layer = self.make_layer(capacity=100)

        def write() -> int:
            own = self.other_process(layer)
            batches = [[own.prepare("jobs", {"number": number})] for number in range(50)]
            return sum(not own.send_many(batch) for batch in batches)

        accepted = sum(side_by_side(*[write] * 8))

        assert accepted == 100
        assert len(self.drain(layer, "jobs")) == 100

    def test_a_group_message_to_a_full_channel_is_dropped_and_counted(self) -> None:
        layer = self.make_layer(capacity=2, channel_capacity={"reply.*!": 2})
        for member in "full", "free", "reply.full!1", "reply.full!2", "reply.free!1":
            layer.group_add("room", member)
        for channel in "full", "reply.full!1":
            layer.send(channel, {"first": True})
            layer.send(channel, {"first": True})

        layer.send_group("room", {"number": 1})
        layer.send_group("room", {"number": 2})
        layer.send_group("room", {"number": 3})

        dropped = {name: self.dropped(layer, name) for name in ("full", "free", "reply.full!1", "reply.free!1")}
        assert dropped == {"full": 3, "free": 1, "reply.full!1": 3, "reply.free!1": 1}
        assert self.contents(layer, "full", "reply.full!") == [{"first": True}] * 4
        assert self.contents(layer, "free") == [{"number": 1}, {"number": 2}]
        assert self.contents(layer, "reply.free!") == [{"number": 1}, {"number": 2}]

    def dropped(self, layer: BaseChannelLayer, channel: str) -> int:
        """Return how many messages have been dropped, for whatever reason."""
        counts: Iterable[int] = layer.channel_statistics(channel)["dropped"].values()
        return sum(counts)

    # Batches

    def test_a_batch_arrives_in_its_order(self, layer: BaseChannelLayer) -> None:
        layer.group_add("room", "parts?a1")
        sends = [("parts?a1", False), ("room", True), ("jobs", False), ("room", True), ("parts?a1", False)]

        refused = layer.send_many([layer.prepare(name, {"n": n}, group) for n, (name, group) in enumerate(sends)])

        assert refused == []
        assert self.contents(layer, "parts?a1") == [{"n": 0}, {"n": 1}, {"n": 3}, {"n": 4}]
        assert self.contents(layer, "jobs") == [{"n": 2}]

    def test_an_empty_batch_is_sent_at_once(self, layer: BaseChannelLayer) -> None:
        assert layer.send_many([]) == []
        assert self.run(layer.send_many_async([])) == []

    @pytest.mark.parametrize("asynchronous", [False, True])
    def test_the_refused_part_of_a_batch_can_be_sent_again_in_order(self, asynchronous: bool) -> None:
        layer = self.make_layer(capacity=2, channel_capacity={"reply.*!": 2})
        names = ["parts?a1", "reply.x!1", "parts?a1", "reply.x!2", "parts?a1", "reply.x!1", "jobs", "parts?a1"]
        batch = [layer.prepare(name, {"n": number}) for number, name in enumerate(names)]

        def send(batch: Sequence[Send]) -> list[Send]:
            return self.run(layer.send_many_async(batch)) if asynchronous else layer.send_many(batch)

        refused = send(batch)
        received = self.contents(layer, "parts?a1"), self.contents(layer, "reply.x!")
        refused_again = send(refused)

        assert refused == [batch[4], batch[5], batch[7]]
        assert received == ([{"n": 0}, {"n": 2}], [{"n": 1}, {"n": 3}])
        assert refused_again == []
        assert self.contents(layer, "parts?a1") == [{"n": 4}, {"n": 7}]
        assert self.contents(layer, "reply.x!") == [{"n": 5}]
        assert self.contents(layer, "jobs") == [{"n": 6}]
