"""What may travel through a channel layer, and how it is copied."""

import collections
import enum
import math

import pytest
from django.db import models
from django.http import QueryDict
from django.utils.functional import SimpleLazyObject
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy
from hypothesis import given
from hypothesis import strategies as st

from channels.exceptions import InvalidMessage, MessageTooLarge
from channels.layers.content import MAX_DEPTH, MAX_MESSAGE_SIZE, copy_message, copy_received, is_same


class Color(str, enum.Enum):  # noqa: UP042 (people write it so, and its str() is another)
    RED = "red"


class Choice(models.TextChoices):
    YES = "yes", "Yes"


class Level(enum.IntEnum):
    HIGH = 3


class Celsius(float):
    pass


class Digest(bytes):
    pass


Point = collections.namedtuple("Point", "x y")


def nested(depth):
    """Return a message with this many containers in one another."""
    content = {}
    for _ in range(depth - 1):
        content = {"deeper": content}
    return content


# Copies


def test_a_copy_shares_nothing_that_can_change():
    content = {"list": [[1]], "dict": {"dict": {"key": 1}}, "buffer": bytearray(b"a")}
    copy = copy_message(content)

    content["list"][0].append(2)
    content["dict"]["dict"]["key"] = 2
    content["buffer"][0] = 0

    assert copy == {"list": [[1]], "dict": {"dict": {"key": 1}}, "buffer": b"a"}


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (mark_safe("text"), "text"),
        (Color.RED, "red"),
        (Choice.YES, "yes"),
        (SimpleLazyObject(lambda: "text"), "text"),
        (SimpleLazyObject(lambda: mark_safe("text")), "text"),
        (SimpleLazyObject(lambda: (b"\xff", 1)), [b"\xff", 1]),
        (Level.HIGH, 3),
        (Celsius(36.6), 36.6),
        (Digest(b"\xff"), b"\xff"),
        (bytearray(b"\xff"), b"\xff"),
        (memoryview(b"abcd")[::2], b"ac"),
        (collections.OrderedDict(key=(1, 2)), {"key": [1, 2]}),
        (collections.defaultdict(list, key=[1]), {"key": [1]}),
        (QueryDict("a=1&a=2&b="), {"a": ["1", "2"], "b": [""]}),
        (Point(1, 2), [1, 2]),
        ((1, (2, ())), [1, [2, []]]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_more_than_plain_becomes_plain(value, plain):
    copy = copy_message({"value": value, "deep": [{"value": value}]})

    assert repr(copy) == repr({"value": plain, "deep": [{"value": plain}]})


@pytest.mark.parametrize(
    ("key", "plain"),
    [(mark_safe("key"), "key"), (Color.RED, "red"), (Choice.YES, "yes"), (SimpleLazyObject(lambda: "key"), "key")],
)
def test_keys_become_plain_as_well(key, plain):
    copy = copy_message({key: {key: 1}})

    assert repr(copy) == repr({plain: {plain: 1}})
    assert [type(name) for name in copy] == [str]


def test_a_dict_of_another_kind_is_a_message_too():
    content = collections.OrderedDict(text="hello")

    assert type(copy_message(content)) is dict
    assert copy_message(content) == {"text": "hello"}


# What cannot travel


@pytest.mark.parametrize(
    "value",
    [object(), {1}, Point, gettext_lazy("text"), SimpleLazyObject(object), range(3), iter([]), models.Q()],
    ids=lambda value: type(value).__name__,
)
def test_other_types_are_refused_with_the_key_the_type_and_what_to_do(value):
    with pytest.raises(InvalidMessage) as raised:
        copy_message({"fine": 1, "outer": [{"inner": (value,)}]})

    assert str(raised.value) == (
        f"The value of 'inner' is of type {type(value).__name__}, which cannot travel through a channel layer. "
        "Send text, bytes, numbers, booleans, None, lists or dicts."
    )


@pytest.mark.parametrize("number", [2**64 - 1, -(2**63)])
def test_integers_have_64_bits(number):
    beyond = number + int(math.copysign(1, number))

    assert copy_message({"number": number}) == {"number": number}
    with pytest.raises(InvalidMessage, match="'number' is an integer of more than 64 bits"):
        copy_message({"number": beyond})


def test_half_a_character_is_no_text():
    with pytest.raises(InvalidMessage, match="The value of 'text' holds a lone surrogate"):
        copy_message({"text": "\ud83d"})
    with pytest.raises(InvalidMessage, match=r"The key .* holds a lone surrogate"):
        copy_message({"outer": {"\ud83d": 1}})


def test_content_is_nested_no_deeper_than_any_layer_can_carry():
    assert copy_message(nested(MAX_DEPTH)) == nested(MAX_DEPTH)
    with pytest.raises(InvalidMessage, match=f"The value of 'deeper' is nested more than {MAX_DEPTH} levels deep"):
        copy_message(nested(MAX_DEPTH + 1))


# Sizes


@pytest.mark.parametrize(
    ("content", "size"),
    [
        ({}, 0),
        ({"key": None}, 3),
        ({"key": "text"}, 7),
        ({"key": b"bytes"}, 8),
        ({"key": bytearray(b"bytes")}, 8),
        ({"ключ": "ß👍"}, 8 + 2 + 4),
        ({"a": ["b", {"c": "d"}, ("e",)]}, 5),
        ({"a": mark_safe("bc")}, 3),
        ({"numbers": [1, 2.0, True, None]}, 7),
    ],
    ids=repr,
)
def test_the_size_of_a_message_is_that_of_its_text_and_bytes(content, size):
    copy_message(content, max_size=size)
    with pytest.raises(MessageTooLarge):
        copy_message({**content, "": "x"}, max_size=size)


def test_an_error_names_the_limit_and_a_way_out():
    with pytest.raises(MessageTooLarge) as raised:
        copy_message({"body": bytes(101)}, max_size=100)

    assert str(raised.value) == (
        "The message is larger than 100 bytes. Send it in parts, or store it and send its key."
    )


def test_a_mebibyte_fits_with_what_belongs_to_it():
    envelope = 2**16 - len("body")

    copy_message({"body": bytes(2**20 + envelope)})
    with pytest.raises(MessageTooLarge, match=str(MAX_MESSAGE_SIZE)):
        copy_message({"body": bytes(2**20 + envelope + 1)})


# Whatever the content

simple = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
    | st.binary(max_size=5)
)
keys = st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
travels = st.recursive(
    simple, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=3), max_leaves=10
)
contents = st.dictionaries(keys, travels, max_size=4)
others = st.sampled_from(
    [object(), 1j, {1}, 2**64, -(2**63) - 1, "\ud800", {1: 2}, {None: 1}, {"\ud800": 1}, Ellipsis, range(3), len]
)


def parts(value):
    """Return the lists and dicts that a value is made of, by their identities."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    own = {id(value)} if isinstance(value, dict | list) else set()
    return own.union(*map(parts, inner))


def size_of(value):
    """Return the bytes of text and bytes in a value, keys included."""
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(size_of(key) + size_of(item) for key, item in value.items())
    return sum(map(size_of, value)) if isinstance(value, list) else 0


@given(contents)
def test_a_copy_is_the_same_and_shares_nothing_that_can_be_changed(content):
    for copy in copy_message(content), copy_received(content):
        assert is_same(copy, content)
        assert not parts(copy) & parts(content)


@given(contents, st.integers(0, 40))
def test_a_message_is_too_large_when_its_text_and_bytes_are(content, limit):
    try:
        fits = is_same(copy_message(content, limit), content)
    except MessageTooLarge:
        fits = False

    assert fits == (size_of(content) <= limit)


@given(
    st.recursive(simple | others, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3))
)
def test_anything_else_is_refused_and_nothing_worse(value):
    try:
        copy = copy_message({"value": value})
    except InvalidMessage:
        return
    assert is_same(copy, {"value": value})
