"""The channel session of a connection: what consumers have changed is merged."""

import pytest

from channels.interface.session import merged
from channels.layers.base import Finish

BEFORE = {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("changed", "removed", "after"),
    [
        ({}, [], BEFORE),
        ({"c": 3}, [], {"a": 1, "b": 2, "c": 3}),
        ({"a": [5]}, [], {"a": [5], "b": 2}),
        ({}, ["a"], {"b": 2}),
        ({}, ["a", "b"], {}),
        ({"c": 3}, ["a", "unknown"], {"b": 2, "c": 3}),
    ],
)
def test_what_a_consumer_has_changed_is_put_on_what_there_is(changed, removed, after):
    session = dict(BEFORE)

    assert merged(session, Finish(1, changed, removed)) == after
    # Others may have it in their hands.
    assert session == BEFORE


def test_two_consumers_at_once_lose_nothing_whoever_ends_first():
    first, second = Finish(1, {"a": 10}, ["b"]), Finish(2, {"c": 30}, [])

    assert merged(merged(BEFORE, first), second) == merged(merged(BEFORE, second), first) == {"a": 10, "c": 30}


def test_what_several_have_added_at_once_is_bounded_and_what_is_lost_of_it_is_told(caplog):
    first, second = Finish(1, {"a": "x" * 60}, []), Finish(2, {"b": "x" * 60}, [])
    session = merged(merged({}, first, 100), second, 100)

    assert session == {"a": "x" * 60}
    [told] = caplog.messages
    assert told.endswith("session is larger than the 100 bytes that CHANNEL_SESSION_SIZE allows")
