"""The setting ``CHANNELS_INTERFACE``."""

import re
from types import SimpleNamespace

import pytest

from channels.exceptions import InvalidChannelLayerError
from channels.interface.limits import Limits


def test_without_the_setting_there_are_limits():
    limits = Limits.from_settings(SimpleNamespace())

    assert limits == Limits()
    assert (limits.http_timeout, limits.socket_outbox_size) == (120, 2**20)


def test_the_setting_changes_what_it_names():
    limits = Limits.from_settings(SimpleNamespace(CHANNELS_INTERFACE={"http_timeout": 5, "stop_grace": 1}))

    assert limits == Limits(http_timeout=5, stop_grace=1)


def test_an_unknown_name_is_refused_with_those_that_are_known():
    with pytest.raises(InvalidChannelLayerError, match=re.escape("unknown key 'timeout'; expected http_timeout, hand")):
        Limits.from_settings(SimpleNamespace(CHANNELS_INTERFACE={"timeout": 5}))


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("body_limit", "x", "a whole number, 0 or more"),
        ("body_limit", 1.5, "a whole number, 0 or more"),
        ("spool_size", -1, "a whole number, 0 or more"),
        ("socket_outbox_length", True, "a whole number, 0 or more"),
        ("http_timeout", "5", "a number, 0 or more"),
        ("http_timeout", float("nan"), "a number, 0 or more"),
        ("stop_grace", None, "a number, 0 or more"),
        ("messages_under_way", 0, "a whole number, 1 or more"),
        ("trust_root_path_header", 1, "True or False"),
        ("live_path", "livez", "a path that begins with a slash, or '' for none"),
        ("ready_path", None, "a path that begins with a slash, or '' for none"),
        ("ready_channels", "http.request", "a list of channels"),
    ],
)
def test_a_value_of_another_kind_is_refused(name, value, expected):
    with pytest.raises(InvalidChannelLayerError) as refused:
        Limits.from_settings(SimpleNamespace(CHANNELS_INTERFACE={name: value}))

    assert str(refused.value) == f"CHANNELS_INTERFACE[{name!r}] is {value!r}; expected {expected}."


@pytest.mark.parametrize("limits", [{"http_timeout": 5}, {"http_timeout": 0.5}, {"spool_memory": 0}])
def test_numbers_of_the_kind_are_taken(limits):
    assert Limits.from_settings(SimpleNamespace(CHANNELS_INTERFACE=limits)) == Limits(**limits)


def test_what_a_channel_session_may_come_to_is_a_setting_of_its_own():
    assert Limits.from_settings(SimpleNamespace(CHANNEL_SESSION_SIZE=7)).session_size == 7
    assert Limits.from_settings(SimpleNamespace()).session_size == 65_536
    with pytest.raises(InvalidChannelLayerError, match="unknown key 'session_size'"):
        Limits.from_settings(SimpleNamespace(CHANNELS_INTERFACE={"session_size": 7}))
