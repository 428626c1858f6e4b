"""Who is in a group, and what is sent to it."""

from __future__ import annotations

import pytest

from ...layers.base import BaseChannelLayer
from ...values.names import queue_of
from .promises import KINDS, LayerPromises, side_by_side


class GroupPromises(LayerPromises):
    """Who is in a group, and what is sent to it."""

    def test_a_group_message_reaches_every_member(self, layer: BaseChannelLayer) -> None:
        members = ["jobs", "parts?a1", "reply.x!1", "reply.x!2", "reply.y!1"]
        for member in members:
            layer.group_add("room", member)
        layer.group_add("hall", "elsewhere")
        layer.group_add("hall", "reply.x!3")

        self.other_process(layer).send_group("room", {"number": 1})

        received = self.drain(layer, "jobs", "parts?a1", "reply.x!", "reply.y!", "elsewhere")
        assert sorted(received) == [(member, {"number": 1}) for member in members]

    def test_the_members_of_a_group_can_be_listed(self, layer: BaseChannelLayer) -> None:
        for member in "jobs", "parts?a1", "reply.x!1", "reply.x!2", "reply.y!1":
            layer.group_add("room", member)
        layer.group_discard("room", "reply.x!1")

        members = self.other_process(layer).group_channels("room")

        assert sorted(members) == ["jobs", "parts?a1", "reply.x!2", "reply.y!1"]
        assert layer.group_channels("unknown") == []

    @pytest.mark.parametrize("channel", KINDS)
    def test_a_channel_hears_a_group_between_joining_and_leaving(self, layer: BaseChannelLayer, channel: str) -> None:
        layer.send_group("room", {"number": 1})
        layer.group_add("room", channel)
        layer.send_group("room", {"number": 2})
        layer.group_discard("room", channel)
        layer.send_group("room", {"number": 3})
        layer.group_add("room", channel)
        layer.send_group("room", {"number": 4})

        assert self.contents(layer, queue_of(channel)) == [{"number": 2}, {"number": 4}]

    def test_a_member_that_leaves_does_not_take_its_neighbours_along(self, layer: BaseChannelLayer) -> None:
        for member in "reply.x!1", "reply.x!2", "reply.x!3":
            layer.group_add("room", member)
        layer.group_discard("room", "reply.x!2")

        layer.send_group("room", {})

        assert sorted(self.drain(layer, "reply.x!")) == [("reply.x!1", {}), ("reply.x!3", {})]

    @pytest.mark.parametrize("channel", KINDS)
    def test_who_joins_twice_is_a_member_once(self, layer: BaseChannelLayer, channel: str) -> None:
        layer.group_add("room", channel)
        layer.group_add("room", channel)

        layer.send_group("room", {"number": 1})
        members = layer.group_channels("room")
        layer.group_discard("room", channel)
        layer.send_group("room", {"number": 2})

        assert members == [channel]
        assert self.contents(layer, queue_of(channel)) == [{"number": 1}]

    @pytest.mark.parametrize("channel", KINDS)
    def test_leaving_a_group_without_being_in_it_does_nothing(self, layer: BaseChannelLayer, channel: str) -> None:
        layer.group_add("room", channel)

        layer.group_discard("hall", channel)
        layer.group_discard("room", "stranger")
        layer.group_discard("room", "reply.x!stranger")

        assert layer.group_channels("room") == [channel]
        assert layer.group_channels("hall") == []

    def test_an_empty_group_takes_messages(self, layer: BaseChannelLayer) -> None:
        layer.send_group("room", {"number": 1})
        layer.group_add("room", "jobs")

        assert self.drain(layer, "jobs") == []

    @pytest.mark.parametrize("channel", KINDS)
    def test_a_membership_lapses_unless_it_is_renewed(self, channel: str) -> None:
        layer = self.make_layer(expiry=10 * self.group_expiry, group_expiry=self.group_expiry)
        other = channel + "0"
        layer.group_add("room", channel)
        layer.group_add("room", other)
        assert self.drain(layer, queue_of(channel)) == []

        self.advance(layer, 0.6 * self.group_expiry)
        before = sorted(layer.group_channels("room"))
        layer.group_add("room", other)
        self.advance(layer, 0.6 * self.group_expiry)
        after = layer.group_channels("room")
        layer.send_group("room", {})

        assert before == [channel, other]
        assert after == [other]
        assert self.drain(layer, *{queue_of(channel), queue_of(other)}) == [(other, {})]

    @pytest.mark.parametrize("channel", KINDS)
    def test_who_lets_its_messages_expire_leaves_its_groups(self, channel: str) -> None:
        layer = self.make_layer(expiry=self.expiry, group_expiry=10 * self.expiry)
        layer.group_add("room", channel)
        layer.group_add("room", "alive")
        layer.send_group("room", {"number": 1})
        self.drain(layer, "alive")

        self.advance(layer, 1.1 * self.expiry)
        layer.send_group("room", {"number": 2})
        members = layer.group_channels("room")

        assert members == ["alive"]
        assert self.contents(layer, "alive") == [{"number": 2}]

    @pytest.mark.parametrize("channel", KINDS)
    def test_who_joins_after_its_messages_have_expired_stays(self, channel: str) -> None:
        layer = self.make_layer(expiry=self.expiry, group_expiry=10 * self.expiry)
        layer.send(channel, {"number": 1})
        self.advance(layer, 1.1 * self.expiry)

        layer.group_add("room", channel)
        layer.send_group("room", {"number": 2})
        layer.send_group("room", {"number": 3})

        assert layer.group_channels("room") == [channel]
        assert self.contents(layer, queue_of(channel)) == [{"number": 2}, {"number": 3}]

    def test_a_broadcast_costs_one_message_however_many_members_share_a_queue(self) -> None:
        layer = self.make_layer(channel_capacity={"reply.*!": 1})
        members = [f"reply.x!{number:04}" for number in range(1000)]
        for member in members:
            layer.group_add("room", member)

        layer.send_group("room", {"text": "hello"})
        layer.send_group("room", {"text": "one too many"})

        assert sorted(layer.group_channels("room")) == members
        assert sorted(self.drain(layer, "reply.x!")) == [(member, {"text": "hello"}) for member in members]

    def test_joining_and_leaving_do_not_fill_a_process_queue(self) -> None:
        layer = self.make_layer(channel_capacity={"reply.*!": 1})

        for number in range(10):
            layer.group_add("room", f"reply.x!{number}")
            layer.group_discard("room", f"reply.x!{number}")
        layer.send("reply.x!1", {})

        assert self.drain(layer, "reply.x!") == [("reply.x!1", {})]

    def test_members_come_and_go_while_messages_are_sent(self, layer: BaseChannelLayer) -> None:
        layer.group_add("room", "parts?witness")

        def come_and_go(number: int) -> None:
            own = self.other_process(layer)
            for turn in range(50):
                for member in f"jobs.{number}.{turn}", f"reply.{number}!{turn}", f"reply.shared!{number}.{turn}":
                    own.group_add("room", member)
                    own.group_channels("room")
                    own.group_discard("room", member)

        def send() -> None:
            for number in range(100):
                layer.send_group("room", {"number": number})

        side_by_side(*[lambda number=number: come_and_go(number) for number in range(3)], send)

        assert layer.group_channels("room") == ["parts?witness"]
        assert self.contents(layer, "parts?witness") == [{"number": number} for number in range(100)]
