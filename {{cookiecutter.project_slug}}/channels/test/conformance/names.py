"""Which names channels and groups may have."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from ...exceptions import InvalidName
from ...layers.base import BaseChannelLayer
from ...values.names import queue_of
from .promises import LayerPromises

CHANNEL_NAMES = [
    "a",
    "0",
    "-",
    "_",
    ".",
    "aZ09-_.",
    "a?b",
    "-_.?-_.",
    "a!b",
    "-_.!-_.",
    "n" * 199,
    "n" * 99 + "?" + "n" * 99,
    "n" * 99 + "!" + "n" * 99,
]

NO_NAMES = [
    "",
    "n" * 200,
    "a b",
    " a",
    "a\n",
    "a\0",
    "a/b",
    "a:b",
    "a*",
    "ä",
    "日本",
    "１",
    "a\u200d",
    "\ud800",
    "!",
    "?",
    "!a",
    "?a",
    "a?",
    "a?b?c",
    "a!b!c",
    "a?b!c",
    "a!b?c",
    "n" * 100 + "?" + "n" * 99,
]

NO_TEXTS: list[Any] = [None, 1, b"name", ["name"]]


class NamePromises(LayerPromises):
    """Which names channels and groups may have."""

    @pytest.mark.parametrize("name", CHANNEL_NAMES)
    def test_a_legal_name_carries_messages_and_joins_groups(self, layer: BaseChannelLayer, name: str) -> None:
        layer.group_add("room", name)
        layer.send(name, {"number": 1})
        layer.send_group("room", {"number": 2})

        assert layer.group_channels("room") == [name]
        assert self.drain(layer, queue_of(name)) == [(name, {"number": 1}), (name, {"number": 2})]

    @pytest.mark.parametrize("name", [name for name in CHANNEL_NAMES if not set(name) & set("?!")])
    def test_a_plain_name_may_name_a_group(self, layer: BaseChannelLayer, name: str) -> None:
        layer.group_add(name, "jobs")
        layer.send_group(name, {"number": 1})

        assert layer.group_channels(name) == ["jobs"]
        assert self.contents(layer, "jobs") == [{"number": 1}]

    @pytest.mark.parametrize(
        ("names", "error"),
        [(NO_NAMES, InvalidName), (NO_TEXTS, TypeError)],
        ids=["malformed", "no text"],
    )
    def test_other_names_are_refused_everywhere(
        self, layer: BaseChannelLayer, names: Sequence[Any], error: type[Exception]
    ) -> None:
        operations: list[Callable[[Any], object]] = [
            lambda name: layer.send(name, {}),
            lambda name: layer.prepare(name, {}),
            lambda name: layer.receive(["jobs", name]),
            lambda name: layer.receive_many([name]),
            lambda name: layer.group_add("room", name),
            lambda name: layer.group_discard("room", name),
            lambda name: layer.group_add(name, "jobs"),
            lambda name: layer.group_discard(name, "jobs"),
            lambda name: layer.group_channels(name),
            lambda name: layer.send_group(name, {}),
        ]
        for name in names:
            for operation in operations:
                with pytest.raises(error):
                    operation(name)

        assert layer.group_channels("room") == []

    def test_a_process_queue_is_for_readers_only(self, layer: BaseChannelLayer) -> None:
        for operation in (
            lambda: layer.send("reply.x!", {}),
            lambda: layer.group_add("room", "reply.x!"),
            lambda: layer.group_discard("room", "reply.x!"),
            lambda: layer.group_channels("reply.x!"),
        ):
            with pytest.raises(InvalidName):
                operation()

    def test_a_group_name_holds_neither_mark(self, layer: BaseChannelLayer) -> None:
        for name in "room?a", "room!a", "room!":
            for operation in (
                lambda group: layer.group_add(group, "jobs"),
                lambda group: layer.group_discard(group, "jobs"),
                lambda group: layer.group_channels(group),
                lambda group: layer.send_group(group, {}),
            ):
                with pytest.raises(InvalidName, match=re.escape(repr(name))):
                    operation(name)

    def test_new_channels_are_all_different_and_can_be_used(self, layer: BaseChannelLayer) -> None:
        names = [layer.new_channel("http.body?") for _ in range(1000)]

        layer.send(names[0], {"number": 0})
        layer.send(names[1], {"number": 1})

        assert len(set(names)) == 1000
        assert all(re.fullmatch(r"http\.body\?[a-zA-Z0-9_.-]{16,}", name) for name in names)
        assert self.contents(layer, names[1]) == [{"number": 1}]

    @pytest.mark.parametrize(
        "pattern", ["http.body!", "http.body", "http.body?a", "?", "", "a?b?", "ä?", "n" * 199 + "?"]
    )
    def test_a_new_channel_needs_a_pattern_that_ends_in_a_question_mark(
        self, layer: BaseChannelLayer, pattern: str
    ) -> None:
        with pytest.raises(InvalidName):
            layer.new_channel(pattern)

    @pytest.mark.parametrize("pattern", NO_TEXTS, ids=repr)
    def test_a_pattern_for_a_new_channel_is_text(self, layer: BaseChannelLayer, pattern: Any) -> None:
        with pytest.raises(TypeError):
            layer.new_channel(pattern)
