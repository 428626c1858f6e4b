"""`channels.layers.redis.envelope`: what is packed comes back, and rubbish is refused in one way."""

import contextlib

import ormsgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.layers.base import Entry
from channels.layers.redis.envelope import UnreadableEntry, pack, split, unpack


def test_an_entry_begins_with_the_time_of_its_death():
    assert split(b"0001700000000rest") == (1_700_000_000, b"rest")


@pytest.mark.parametrize("stored", [b"", b"no digits here at all"])
def test_what_does_not_begin_with_a_time_is_refused(stored):
    with pytest.raises(UnreadableEntry):
        split(stored)


def test_an_entry_comes_back_as_it_was():
    content = {"text": "a", "bytes": b"a", "list": [1, None, {"deep": True}]}

    assert unpack(pack("x1", "", content, False, 1000)) == Entry("x1", "", content)
    assert unpack(pack("", "room", content, False, 1000)) == Entry("", "room", content)


@pytest.mark.parametrize("joins", [True, False])
def test_a_change_of_membership_comes_back_as_it_was(joins):
    assert unpack(pack("x1", "room", None, joins, 1000)) == Entry("x1", "room", None, joins)


def test_keys_that_are_not_known_yet_are_ignored():
    newer = ormsgpack.packb({"v": 1, "c": {"text": "a"}, "new": [1, 2]})

    assert unpack(newer) == Entry(content={"text": "a"})


@pytest.mark.parametrize(
    "envelope",
    [
        {"v": 2, "c": {}},
        {"c": {}},
        {"v": 1, "c": "text"},
        {"v": 1, "c": []},
        {"v": 1, "c": {}, "g": ["room"]},
        {"v": 1, "c": {}, "l": 1},
        {"v": 1, "l": "x1", "g": "room", "j": "yes"},
        [],
        None,
        "text",
    ],
)
def test_what_this_version_cannot_have_written_is_refused(envelope):
    with pytest.raises(UnreadableEntry):
        unpack(ormsgpack.packb(envelope))


@given(st.binary(max_size=200))
def test_rubbish_is_refused_and_nothing_worse(rubbish):
    with contextlib.suppress(UnreadableEntry):
        unpack(rubbish)
    with contextlib.suppress(UnreadableEntry):
        split(rubbish)


@pytest.mark.parametrize(
    "bomb", [b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\x91" * 100_000, b"\xc6\xff\xff\xff\xff"]
)
def test_a_bomb_is_refused(bomb):
    with pytest.raises(UnreadableEntry):
        unpack(bomb)
