"""Flushing, and what a layer says of itself."""

from __future__ import annotations

import time

import pytest

from ... import exceptions
from ...exceptions import ChannelFull
from ...layers.base import BaseChannelLayer
from ...values.names import queue_of
from .promises import KINDS, STATISTICS, LayerPromises

TIMES = {"messages_max_age", "seconds_since_received"}


class StatisticsPromises(LayerPromises):
    """Flushing, and what a layer says of itself."""

    def test_a_flush_removes_all_messages_and_groups(self, layer: BaseChannelLayer) -> None:
        for channel in [*KINDS, "reply.x!2"]:
            layer.group_add("room", channel)
            layer.send_group("room", {})
            layer.send(channel, {})
        # A broadcast of which one member has got its part, and the other not.
        for _ in range(3):
            self.take(layer, "reply.x!")

        layer.flush()
        left = self.drain(layer, *map(queue_of, KINDS))
        members = layer.group_channels("room")
        layer.send_group("room", {})

        assert (left, members) == ([], [])
        assert self.drain(layer, *map(queue_of, KINDS)) == []

    def test_a_flushed_layer_goes_on(self, layer: BaseChannelLayer) -> None:
        layer.group_add("room", "reply.x!before")
        layer.send("reply.x!before", {})
        self.take(layer, "reply.x!")
        layer.flush()

        layer.group_add("room", "reply.x!after")
        layer.send("reply.x!2", {})
        layer.send_group("room", {})

        assert self.drain(layer, "reply.x!") == [("reply.x!2", {}), ("reply.x!after", {})]

    def test_layers_see_and_flush_only_their_own(self) -> None:
        one, other = self.make_layer(), self.make_layer()
        for layer in one, other:
            layer.group_add("room", "reply.x!1")
        one.send("jobs", {})

        in_other = self.drain(other, "jobs")
        other.flush()
        one.send_group("room", {})

        assert in_other == []
        assert self.drain(one, "jobs") == [("jobs", {})]
        assert one.group_channels("room") == ["reply.x!1"]
        assert self.drain(one, "reply.x!") == [("reply.x!1", {})]
        assert other.group_channels("room") == []

    def test_a_layer_names_its_extensions_and_exceptions(self, layer: BaseChannelLayer) -> None:
        assert {"groups", "flush", "statistics", "async"} <= set(layer.extensions)
        assert layer.ChannelFull is exceptions.ChannelFull
        assert layer.MessageTooLarge is exceptions.MessageTooLarge
        assert (layer.expiry, layer.group_expiry, layer.capacity) == (60, 86_400, 100)

    def test_the_statistics_of_a_channel_tell_what_has_passed_and_what_waits(self) -> None:
        layer = self.make_layer(capacity=3, expiry=10 * self.expiry)
        before = layer.channel_statistics("jobs")
        for number in range(3):
            layer.send("jobs", {"number": number})
        with pytest.raises(ChannelFull):
            layer.send("jobs", {})
        self.advance(layer, 0.1 * self.expiry)
        self.take(layer, "jobs")

        after = layer.channel_statistics("jobs")

        assert before["seconds_since_received"] is None
        assert {key: after[key] for key in sorted(set(after) - TIMES)} == {
            "channel_full_count": 1,
            "channel_full_count_per_second": 0.1,
            "dropped": {},
            "messages_count": 3,
            "messages_count_per_second": 0.3,
            "messages_pending": 2,
            "messages_received": 1,
            "messages_unfinished": 0,
        }
        assert 0.1 * self.expiry <= after["messages_max_age"] < 0.1 * self.expiry + 5
        assert 0 <= after["seconds_since_received"] < 5

    def test_statistics_are_complete_from_the_start(self, layer: BaseChannelLayer) -> None:
        assert set(layer.channel_statistics("jobs")) == STATISTICS
        assert set(layer.global_statistics()) == STATISTICS

    @pytest.mark.parametrize("channel", ["jobs", "parts?a1"])
    def test_a_message_counts_as_unfinished_until_its_worker_takes_the_next_turn(
        self, layer: BaseChannelLayer, channel: str
    ) -> None:
        layer.send(channel, {})

        layer.send_and_receive([], [channel], 0.0)
        at_work = layer.channel_statistics(channel)
        layer.send_and_receive([], [channel], 0.0, finished=channel)
        after = layer.channel_statistics(channel)

        assert (at_work["messages_received"], at_work["messages_unfinished"]) == (0, 1)
        assert (after["messages_received"], after["messages_unfinished"]) == (1, 0)

    def test_a_turn_sends_before_it_receives_and_tells_what_was_refused(self) -> None:
        layer = self.make_layer(capacity=1)
        batch = [layer.prepare("jobs", {"number": number}) for number in range(2)]

        refused, received = layer.send_and_receive(batch, ["jobs"], 0.0)

        assert refused == batch[1:]
        assert received == ("jobs", {"number": 0})

    def test_a_turn_waits_for_a_message_no_longer_than_it_is_told(self, layer: BaseChannelLayer) -> None:
        began = time.monotonic()

        refused, received = layer.send_and_receive([], ["jobs"], 0.1)

        assert (refused, received) == ([], (None, None))
        assert 0.05 < time.monotonic() - began < 5

    def test_messages_that_expire_unread_are_counted_as_dropped_and_not_as_unfinished(self) -> None:
        layer = self.make_layer(expiry=self.expiry)
        for channel in KINDS:
            layer.send(channel, {})
        self.advance(layer, 1.1 * self.expiry)

        figures = layer.global_statistics()

        assert figures["dropped"] == {"expired": 3}
        assert (figures["messages_pending"], figures["messages_unfinished"]) == (0, 0)

    def test_global_statistics_sum_up_all_channels(self, layer: BaseChannelLayer) -> None:
        for channel in KINDS:
            layer.send(channel, {})
        self.take(layer, "jobs")

        figures = layer.global_statistics()

        assert figures["messages_count"] == 3
        assert figures["messages_received"] == 1
        assert figures["messages_pending"] == 2

    def test_the_statistics_of_a_process_queue_are_those_of_all_its_channels(self, layer: BaseChannelLayer) -> None:
        layer.group_add("room", "reply.x!1")
        layer.group_add("room", "reply.x!2")
        layer.send("reply.x!1", {})
        layer.send_group("room", {})

        figures = layer.channel_statistics("reply.x!3")

        assert (figures["messages_count"], figures["messages_pending"]) == (2, 2)
