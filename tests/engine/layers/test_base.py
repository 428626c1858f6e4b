"""What all layers share: options, capacities, and the checks before a message is sent."""

import re

import pytest

from channels.exceptions import InvalidChannelLayerError
from channels.layers.base import BaseChannelLayer
from channels.layers.inmemory import InMemoryChannelLayer


def make_layer(**options):
    return InMemoryChannelLayer(**options)


def test_a_layer_without_options_has_the_usual_ones():
    layer = make_layer()

    assert (layer.expiry, layer.group_expiry, layer.capacity, layer.channel_capacity) == (60, 86_400, 100, {})


def test_a_mistyped_option_is_no_option():
    with pytest.raises(TypeError, match="capactiy"):
        make_layer(capactiy=5)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"expiry": 0}, "expiry is 0; expected seconds, at least 0.001"),
        ({"expiry": float("nan")}, "expiry is nan; expected seconds, at least 0.001"),
        ({"expiry": True}, "expiry is True; expected seconds, at least 0.001"),
        ({"expiry": 0.0009}, "expiry is 0.0009; expected seconds, at least 0.001"),
        ({"group_expiry": -1.5}, "group_expiry is -1.5; expected seconds, at least 0.001"),
        ({"group_expiry": "60"}, "group_expiry is '60'; expected seconds, at least 0.001"),
        ({"capacity": 0}, "capacity is 0; expected a whole number above zero"),
        ({"capacity": -3}, "capacity is -3; expected a whole number above zero"),
        ({"capacity": 1.5}, "capacity is 1.5; expected a whole number above zero"),
        ({"capacity": True}, "capacity is True; expected a whole number above zero"),
        ({"max_message_size": 0}, "max_message_size is 0; expected a whole number above zero"),
        ({"channel_capacity": {"mail.*": 0}}, "channel_capacity for 'mail.*' is 0; expected a whole number above zero"),
    ],
    ids=str,
)
def test_a_number_that_makes_no_sense_is_refused(options, found):
    where = "Change it in the CONFIG of CHANNEL_LAYERS, or in CHANNEL_LAYER_URL."

    with pytest.raises(InvalidChannelLayerError, match=re.escape(f"The channel layer's {found}. {where}")):
        make_layer(**options)


def test_a_fraction_of_a_second_is_a_life():
    assert make_layer(expiry=0.01).expiry == 0.01


def test_a_layer_that_leaves_out_part_of_the_contract_cannot_be_made():
    class Half(BaseChannelLayer):
        def send_many(self, batch):
            return []

    with pytest.raises(TypeError, match="take"):
        Half()


# Capacities


@pytest.mark.parametrize(
    ("channel", "capacity"),
    [
        ("http.request", 100),
        ("reply", 100),
        ("reply.8f3", 100),
        ("reply.8f3!", 10_000),
        ("reply.8f3!Xk2", 10_000),
        ("http.request.body?Xk2", 4),
        ("http.request.body", 100),
        ("http.request.bodyXk2", 100),
    ],
)
def test_queues_of_processes_hold_much_and_parts_of_bodies_are_few(channel, capacity):
    assert make_layer().get_capacity(channel) == capacity


@pytest.mark.parametrize(
    ("patterns", "capacities"),
    [
        ({"a": 1}, {"a": 1, "ab": 100, "ba": 100}),
        ({"a*": 1}, {"a": 1, "ab": 1, "a?b": 1, "a!b": 1, "ba": 100}),
        ({"a.[12]": 1}, {"a.1": 1, "a.2": 1, "a.3": 100, "aX1": 100}),
        ({"a?*": 1}, {"a?b": 1, "a?": 1, "ab": 100, "abc": 100}),
        ({"a?b": 1}, {"a?b": 1, "a?c": 100, "axb": 100}),
        ({"a*!": 1}, {"a!b": 1, "a!": 1, "ax!b": 1, "a": 100}),
        ({re.compile("a"): 1}, {"a": 1, "ab": 1, "ba": 100}),
        ({re.compile(r"a\.\d+$"): 1}, {"a.12": 1, "a.12b": 100}),
        ({"a.b": 1, "a.*": 2, re.compile("a"): 3}, {"a.b": 1, "a.c": 2, "a": 3, "b": 100}),
        ({"a.*": 2, "a.b": 1}, {"a.b": 2}),
        ({"*": 7}, {"a": 7, "reply.x!1": 7, "http.request.body?a": 7}),
        ({"reply.*!": 50}, {"reply.x!1": 50}),
        ({"http.request.body?*": 50}, {"http.request.body?a": 50, "reply.x!1": 10_000}),
    ],
    ids=str,
)
def test_the_first_pattern_that_matches_gives_the_capacity(patterns, capacities):
    layer = make_layer(channel_capacity=patterns)

    assert {channel: layer.get_capacity(channel) for channel in capacities} == capacities
    # They are remembered, which must not change them.
    assert {channel: layer.get_capacity(channel) for channel in reversed(capacities)} == capacities


def test_no_memory_is_spent_on_the_capacities_of_channels_with_random_ends():
    layer = make_layer()
    for number in range(1000):
        layer.get_capacity(f"parts?{number}")
        layer.get_capacity(f"reply.x!{number}")

    assert len(layer.capacities) == 1


def test_the_error_of_a_full_channel_tells_what_to_do():
    layer = make_layer(channel_capacity={"parts?*": 2})
    layer.send("parts?a1", {})
    layer.send("parts?a1", {})

    with pytest.raises(layer.ChannelFull) as raised:
        layer.send("parts?a1", {})

    assert str(raised.value) == (
        "The channel 'parts?' holds 2 messages that nobody has read. Start more workers for it, or raise 'capacity' "
        "or 'channel_capacity' in the CONFIG of CHANNEL_LAYERS."
    )
