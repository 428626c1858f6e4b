"""`channels.layers.redis.envelope`: the time of an entry's death, and rubbish that is refused in one way."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.layers.envelope import UnreadableEntry
from channels.layers.redis.envelope import split


def test_an_entry_begins_with_the_time_of_its_death():
    assert split(b"0001700000000rest") == (1_700_000_000, b"rest")


@pytest.mark.parametrize("stored", [b"", b"no digits here at all"])
def test_what_does_not_begin_with_a_time_is_refused(stored):
    with pytest.raises(UnreadableEntry):
        split(stored)


@given(st.binary(max_size=200))
def test_rubbish_is_refused_and_nothing_worse(rubbish):
    with contextlib.suppress(UnreadableEntry):
        split(rubbish)
