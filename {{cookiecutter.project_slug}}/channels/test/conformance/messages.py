"""What a message may hold, and whose its content is."""

from __future__ import annotations

import datetime
import decimal
import math
import re
from typing import Any

import pytest

from ...exceptions import InvalidMessage, MessageTooLarge
from ...layers.base import BaseChannelLayer, Content
from ...values.names import queue_of
from .promises import KINDS, LayerPromises

VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2**63 - 1,
    2**64 - 1,
    -(2**63),
    0.0,
    -0.0,
    1.0,
    0.1,
    1e308,
    5e-324,
    math.inf,
    -math.inf,
    math.nan,
    "",
    "text",
    "1",
    "None",
    "Ω ß 日本語 עברית",
    "👩‍👩‍👧‍👦🏳️‍🌈👍🏽",
    "\ufeff\u2028\U0010ffff",
    "".join(map(chr, range(160))),
    "long" * 20_000,
    b"",
    b"text",
    bytes(range(256)),
    b"\xf0\x9f\x91\x8d",
    [],
    {},
    [[], [[]], [{}], {"": []}],
    [None, True, 1, 1.0, "1", b"1"],
    {"text": "a", "bytes": b"a", "empty": "", "": b"", "👍": {"👍": ["👍"]}},
    list(range(1000)),
]

REFUSED_VALUES: list[Any] = [
    object(),
    {1, 2},
    frozenset(),
    1j,
    decimal.Decimal("1.5"),
    datetime.datetime(2024, 2, 29, tzinfo=datetime.UTC),
    ValueError("no"),
    len,
    2**64,
    -(2**63) - 1,
    "\ud800",
]

REFUSED_KEYS: list[Any] = [1, None, True, b"key", ("key",), "\ud800"]


class MessagePromises(LayerPromises):
    """What a message may hold, and whose its content is."""

    @pytest.mark.parametrize("value", VALUES, ids=lambda value: f"{type(value).__name__}-{value!r:.20}")
    def test_content_arrives_as_it_was_sent(self, layer: BaseChannelLayer, value: Any) -> None:
        content = {"value": value, "deep": [[value], {"value": {"value": value}}]}
        layer.group_add("room", "member")
        for channel in KINDS:
            layer.send(channel, content)
        layer.send_group("room", content)

        # Its text tells 1 from True and 1.0, and NaN is no exception.
        for channel in [*KINDS, "member"]:
            assert repr(self.contents(layer, queue_of(channel))) == repr([content])

    def test_a_message_may_be_empty(self, layer: BaseChannelLayer) -> None:
        layer.send("jobs", {})

        assert self.drain(layer, "jobs") == [("jobs", {})]

    def test_tuples_arrive_as_lists(self, layer: BaseChannelLayer) -> None:
        layer.send("jobs", {"headers": ((b"host", b"a"), ()), "deep": {"deep": [(1, (2,))]}})

        assert self.contents(layer, "jobs") == [{"headers": [[b"host", b"a"], []], "deep": {"deep": [[1, [2]]]}}]

    def test_buffers_arrive_as_bytes(self, layer: BaseChannelLayer) -> None:
        layer.send("jobs", {"array": bytearray(b"\x00\xff"), "view": memoryview(b"\x00\xff")})

        assert repr(self.contents(layer, "jobs")) == repr([{"array": b"\x00\xff", "view": b"\x00\xff"}])

    @pytest.mark.parametrize("value", REFUSED_VALUES, ids=lambda value: f"{type(value).__name__}-{value!r:.20}")
    def test_the_sender_learns_which_value_cannot_travel(self, layer: BaseChannelLayer, value: Any) -> None:
        layer.group_add("room", "jobs")

        for content in ({"wrong": value}, {"fine": 1, "deep": [{"wrong": [[value]]}]}):
            with pytest.raises(InvalidMessage, match="'wrong'"):
                layer.send("jobs", content)
            with pytest.raises(InvalidMessage, match="'wrong'"):
                layer.send_group("room", content)
        assert self.drain(layer, "jobs") == []

    @pytest.mark.parametrize("key", REFUSED_KEYS, ids=repr)
    def test_the_sender_learns_which_key_cannot_travel(self, layer: BaseChannelLayer, key: Any) -> None:
        for content in ({key: "value"}, {"deep": [{"deep": {key: "value"}}]}):
            with pytest.raises(InvalidMessage, match=re.escape(repr(key))):
                layer.send("jobs", content)
        assert self.drain(layer, "jobs") == []

    @pytest.mark.parametrize("content", [None, [], "text", b"bytes", 1, [("key", "value")]], ids=repr)
    def test_what_is_no_dict_is_no_message(self, layer: BaseChannelLayer, content: Any) -> None:
        with pytest.raises(InvalidMessage, match=type(content).__name__):
            layer.send("jobs", content)
        with pytest.raises(InvalidMessage, match=type(content).__name__):
            layer.send_group("room", content)

    def test_content_that_holds_itself_is_refused(self, layer: BaseChannelLayer) -> None:
        content: Content = {"list": []}
        content["list"].append(content)

        with pytest.raises(InvalidMessage, match="nested"):
            layer.send("jobs", content)

    def test_a_mebibyte_of_data_fits(self, layer: BaseChannelLayer) -> None:
        body = bytes(range(256)) * 4096

        layer.send("jobs", {"body": body, "path": "/" * 1000})

        assert self.contents(layer, "jobs") == [{"body": body, "path": "/" * 1000}]

    @pytest.mark.parametrize("letter", [b"x", "x", "é"])
    def test_a_message_above_the_size_limit_is_refused(self, letter: bytes | str) -> None:
        layer = self.make_layer(max_message_size=1001)
        layer.group_add("room", "member")
        size = len(letter if isinstance(letter, bytes) else letter.encode())
        largest = {"k": letter * (1000 // size)}
        too_large = {**largest, "": b"x"}

        layer.send("jobs", largest)
        layer.send_group("room", largest)
        with pytest.raises(MessageTooLarge, match="1001 bytes"):
            layer.send("jobs", too_large)
        with pytest.raises(MessageTooLarge, match="1001 bytes"):
            layer.send_group("room", too_large)

        assert self.contents(layer, "jobs") == [largest]
        assert self.contents(layer, "member") == [largest]

    # Whose the content is

    def test_the_sender_may_change_its_message_afterwards(self, layer: BaseChannelLayer) -> None:
        content = _deep(1)
        layer.group_add("room", "member")
        layer.group_add("room", "reply.x!1")
        batch = [layer.prepare("prepared", content), layer.prepare("room", content, to_group=True)]

        layer.send("jobs", content)
        layer.send_group("room", content)
        for value in _parts(content):
            value.append(2) if isinstance(value, list) else value.update(more=2)
        layer.send_many(batch)

        for queue in "jobs", "prepared":
            assert self.contents(layer, queue) == [_deep(1)]
        for queue in "member", "reply.x!":
            assert self.contents(layer, queue) == [_deep(1)] * 2

    def test_each_member_of_a_group_gets_a_copy_of_its_own(self, layer: BaseChannelLayer) -> None:
        members = ["a", "b", "parts?a1", "reply.x!1"]
        for member in members:
            layer.group_add("room", member)

        layer.send_group("room", _deep(1))
        received = [message for _, message in self.drain(layer, "a", "b", "parts?a1", "reply.x!")]
        for number, message in enumerate(received):
            assert message == _deep(1), "nobody sees what others have changed"
            for value in _parts(message):
                value.append(number) if isinstance(value, list) else value.update(more=number)

        assert len(received) == len(members)


def _deep(value: Any) -> Content:
    """Return a content with lists and dicts in each other."""
    return {
        "list": [value, [value, {"deeper": [value]}]],
        "dict": {"key": value, "deep": {"list": [{"deeper": value}]}},
    }


def _parts(value: Any) -> list[Any]:
    """Return the lists and dicts that a value is made of, and itself."""
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return [part for item in inner for part in _parts(item)] + ([value] if isinstance(value, dict | list) else [])
