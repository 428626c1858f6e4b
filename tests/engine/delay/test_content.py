import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.delay.content import from_text, to_text
from channels.layers.content import copy_message, is_same

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
KEYS = st.sampled_from(["$bytes", "$dict", "text"]) | TEXT
VALUES = st.recursive(
    TEXT | st.binary() | st.booleans() | st.none() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(KEYS, values, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_content_is_read_as_it_was_with_bytes_and_text_distinct_at_any_depth(content):
    assert is_same(from_text(to_text(copy_message(content))), copy_message(content))


def test_the_text_is_ascii_which_every_database_takes():
    text = to_text({"text": "\x00é", "data": b"\x00\xff", "numbers": [math.inf]})

    assert text.isascii()
    assert "\x00" not in text
    assert from_text(text) == {"text": "\x00é", "data": b"\x00\xff", "numbers": [math.inf]}


@pytest.mark.parametrize("content", [{}, {"a": [1, {"b": None}], "c": "d"}, {"$other": 1}, {"$bytes": 1, "more": 2}])
def test_what_json_can_hold_lies_there_as_in_channels_1(content):
    assert json.loads(to_text(content)) == content
    assert from_text(json.dumps(content)) == content


@pytest.mark.parametrize("text", ["", "{", '{"$bytes": 1}', '{"a": {"$bytes": "no Base64"}}', '{"$dict": []}'])
def test_what_nobody_has_written_is_refused(text):
    with pytest.raises(ValueError):
        from_text(text)
