"""
Prove that a channel layer keeps its contract: one suite for every layer, run by pytest.

A test module says how the layer is made and how its time passes::

    class TestMyChannelLayer(ChannelLayerConformance):
        expiry = group_expiry = 2

        def make_layer(self, **options):
            return MyChannelLayer(prefix=secrets.token_hex(8), **options)

        def advance(self, layer, seconds):
            time.sleep(seconds)

``pytest.register_assert_rewrite("channels.test.conformance")``, before the import, makes failures readable.
"""
# ruff: noqa: S101

from __future__ import annotations

import asyncio
import datetime
import decimal
import math
import re
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar, TypeVar

import pytest

from .. import exceptions
from ..exceptions import ChannelFull, InvalidMessage, InvalidName, MessageTooLarge
from ..layers.base import BaseChannelLayer, Content, Entry, Send
from ..names import queue_of

T = TypeVar("T")
Received = tuple[str, Content] | tuple[None, None]

# One of each kind: any worker reads the first, one reader the second, one process the third.
KINDS = ["jobs", "parts?a1", "reply.x!1"]

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

STATISTICS = {
    "messages_count",
    "messages_count_per_second",
    "messages_received",
    "messages_pending",
    "messages_max_age",
    "seconds_since_received",
    "channel_full_count",
    "channel_full_count_per_second",
    "dropped",
}


class ChannelLayerConformance:
    """
    The promises of a channel layer, as tests.

    ``expiry`` and ``group_expiry`` are used by tests that let time pass: keep them short if it really does.
    ``many`` is the number of messages of the tests under load, ``wake_within`` the longest way there and back
    between two waiting readers, in seconds, and ``receive_tries`` says how often a reader of an ordinary
    channel must ask to be sure that it is empty, which may be more than once if it is spread over servers.
    """

    expiry: ClassVar[float] = 60
    group_expiry: ClassVar[float] = 3600
    many: ClassVar[int] = 5_000
    wake_within: ClassVar[float] = 0.05
    receive_tries: ClassVar[int] = 1

    def make_layer(self, **options: Any) -> BaseChannelLayer:
        """Return a fresh layer that shares nothing with any other."""
        raise NotImplementedError(f"{type(self).__name__} must say in make_layer(**options) how its layer is made.")

    def advance(self, layer: BaseChannelLayer, seconds: float) -> None:
        """Let time pass for the layer."""
        raise NotImplementedError(f"{type(self).__name__} must say in advance(layer, seconds) how time passes.")

    def other_process(self, layer: BaseChannelLayer) -> BaseChannelLayer:
        """Return the same layer as another process would have it."""
        return layer

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on an event loop of its own."""
        return asyncio.run(work)

    @pytest.fixture
    def layer(self) -> BaseChannelLayer:
        """Return a fresh layer with the usual options."""
        return self.make_layer()

    def take(self, layer: BaseChannelLayer, *channels: str) -> Received:
        """Take a message that is there, without waiting."""
        for _ in range(self.receive_tries):
            channel, message = layer.receive(channels)
            if channel is not None and message is not None:
                return channel, message
        return None, None

    def drain(self, layer: BaseChannelLayer, *channels: str) -> list[tuple[str, Content]]:
        """Take all messages that are there."""
        taken: list[tuple[str, Content]] = []
        while True:
            channel, message = self.take(layer, *channels)
            if channel is None or message is None:
                return taken
            taken.append((channel, message))

    def contents(self, layer: BaseChannelLayer, *channels: str) -> list[Content]:
        """Take the content of all messages that are there."""
        return [message for _, message in self.drain(layer, *channels)]

    # What a message may hold

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
        content: Content = {"list": [1], "dict": {"a": 1}}
        layer.group_add("room", "member")
        layer.group_add("room", "reply.x!1")
        batch = [layer.prepare("prepared", content)]

        layer.send("jobs", content)
        layer.send_group("room", content)
        content["list"].append(2)
        content["dict"]["b"] = content.pop("list")
        layer.send_many(batch)

        for queue in "jobs", "member", "reply.x!", "prepared":
            assert self.contents(layer, queue) == [{"list": [1], "dict": {"a": 1}}]

    def test_each_member_of_a_group_gets_a_copy_of_its_own(self, layer: BaseChannelLayer) -> None:
        members = ["a", "b", "reply.x!1", "reply.x!2", "reply.y!1"]
        for member in members:
            layer.group_add("room", member)

        layer.send_group("room", {"list": []})
        received = self.drain(layer, "a", "b", "reply.x!", "reply.y!")
        for channel, message in received:
            message["list"].append(channel)

        assert sorted((channel, message["list"]) for channel, message in received) == [
            (member, [member]) for member in members
        ]

    # Names

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

    # Receiving

    def test_nothing_comes_from_an_empty_channel(self, layer: BaseChannelLayer) -> None:
        assert layer.receive(["jobs"]) == (None, None)
        assert layer.receive(["jobs", "parts?a1", "reply.x!"]) == (None, None)
        assert layer.receive([]) == (None, None)

    def test_a_message_is_received_once(self, layer: BaseChannelLayer) -> None:
        for channel in KINDS:
            layer.send(channel, {"to": channel})

        received = self.drain(self.other_process(layer), *map(queue_of, KINDS))

        assert sorted(received) == [(channel, {"to": channel}) for channel in KINDS]
        assert self.drain(layer, *map(queue_of, KINDS)) == []

    def test_a_reader_gets_only_what_it_asks_for(self, layer: BaseChannelLayer) -> None:
        names = ["jobs", "jobs.more", "parts?a1", "parts?a2", "reply.x!1", "reply.y!1"]
        for name in names:
            layer.send(name, {"to": name})

        assert {name: self.drain(layer, queue_of(name)) for name in names} == {
            name: [(name, {"to": name})] for name in names
        }

    def test_receive_many_is_another_name_for_receive(self, layer: BaseChannelLayer) -> None:
        layer.send("parts?a1", {"number": 1})

        assert layer.receive_many(["parts?a1"]) == ("parts?a1", {"number": 1})
        assert layer.receive_many(["parts?a1"], block=False) == (None, None)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(layer.receive_many, ["parts?a1"], block=True)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.05)
            layer.send("parts?a1", {"number": 2})
            assert waiting.result() == ("parts?a1", {"number": 2})

    def test_channels_with_local_parts_are_read_by_their_queue(self, layer: BaseChannelLayer) -> None:
        layer.send("reply.x!1", {"number": 1})
        layer.send("reply.x!2", {"number": 2})
        layer.send("reply.x!1", {"number": 3})

        with pytest.raises(InvalidName, match=re.escape("'reply.x!1'")):
            layer.receive(["reply.x!1"])
        assert self.drain(layer, "reply.x!") == [
            ("reply.x!1", {"number": 1}),
            ("reply.x!2", {"number": 2}),
            ("reply.x!1", {"number": 3}),
        ]

    def test_each_message_reaches_one_of_many_readers(self) -> None:
        readers = 4
        layer = self.make_layer(capacity=self.many + readers)

        def write() -> list[int]:
            for number in range(self.many):
                layer.send("jobs", {"number": number})
            for _ in range(readers):
                layer.send("jobs", {"end": True})
            return []

        def read() -> list[int]:
            own = self.other_process(layer)
            numbers: list[int] = []
            while True:
                _, message = wait_for(own, "jobs")
                assert message is not None, "The messages and the end of them have not come."
                if "end" in message:
                    return numbers
                numbers.append(message["number"])

        read_together = [number for numbers in side_by_side(*[read] * readers, write) for number in numbers]

        rest = [message["number"] for message in self.contents(layer, "jobs")]
        assert sorted(read_together + rest) == list(range(self.many))

    @pytest.mark.parametrize("channel", ["parts?a1", "reply.x!1"])
    def test_one_writer_and_one_reader_see_the_same_order(self, channel: str) -> None:
        layer = self.make_layer(capacity=self.many, channel_capacity={"reply.*!": self.many})

        def write() -> None:
            for number in range(self.many):
                layer.send(channel, {"number": number})

        def read() -> list[int]:
            own = self.other_process(layer)
            return [(wait_for(own, queue_of(channel))[1] or {})["number"] for _ in range(self.many)]

        _, numbers = side_by_side(write, read)

        assert numbers == list(range(self.many))

    @pytest.mark.parametrize("channel", ["parts?a1", "reply.x!1"])
    def test_direct_and_group_messages_keep_their_order(self, layer: BaseChannelLayer, channel: str) -> None:
        layer.group_add("room", channel)
        layer.group_add("hall", channel)

        for number in range(0, 60, 3):
            layer.send(channel, {"number": number})
            layer.send_group("room", {"number": number + 1})
            layer.send_group("hall", {"number": number + 2})

        assert self.contents(layer, queue_of(channel)) == [{"number": number} for number in range(60)]

    @pytest.mark.parametrize(("busy", "quiet"), [("busy", "quiet"), ("busy?1", "quiet?1"), ("busy!1", "quiet!1")])
    @pytest.mark.parametrize("step", [1, -1], ids=["busy first", "quiet first"])
    def test_a_busy_channel_does_not_starve_a_quiet_one(
        self, layer: BaseChannelLayer, busy: str, quiet: str, step: int
    ) -> None:
        for _ in range(60):
            layer.send(busy, {})
        layer.send(quiet, {})

        order = [channel for channel, _ in self.drain(layer, *[queue_of(busy), queue_of(quiet)][::step])]

        # By bad luck alone the quiet one is last once in 2 ** 60 runs.
        assert order[-1] == busy
        assert sorted(order) == [busy] * 60 + [quiet]

    # Waiting

    def test_a_waiting_reader_is_woken_within_milliseconds(self, layer: BaseChannelLayer) -> None:
        rounds = 200

        def answer() -> list[float]:
            own = self.other_process(layer)
            for _ in range(rounds):
                assert wait_for(own, "parts?ping", "jobs") == ("parts?ping", {})
                own.send("reply.x!pong", {})
            return []

        def ask() -> list[float]:
            times = []
            for _ in range(rounds):
                start = time.monotonic()
                layer.send("parts?ping", {})
                assert wait_for(layer, "reply.x!") == ("reply.x!pong", {})
                times.append(time.monotonic() - start)
                assert times[-1] < 5
            return times

        _, times = side_by_side(answer, ask)

        assert sorted(times)[rounds // 2] < self.wake_within

    def test_waiting_ends_in_time_and_uses_no_processor(self, layer: BaseChannelLayer) -> None:
        seconds = 0.5

        def wait() -> Received:
            return wait_for(layer, "jobs", "parts?a1", "reply.x!", seconds=seconds)

        start, start_of_work = time.monotonic(), time.process_time()
        received = side_by_side(wait, wait, wait)
        waited, worked = time.monotonic() - start, time.process_time() - start_of_work

        assert received == [(None, None)] * 3
        assert seconds <= waited < seconds + 1
        assert worked < seconds / 20

    def test_a_reader_without_patience_does_not_wait(self, layer: BaseChannelLayer) -> None:
        start = time.monotonic()

        assert layer.receive(["jobs"], block=True, timeout=0) == (None, None)
        assert time.monotonic() - start < 0.5

    def test_a_waiting_reader_takes_what_is_there_at_once(self, layer: BaseChannelLayer) -> None:
        layer.send("reply.x!1", {"number": 1})

        assert layer.receive(["jobs", "reply.x!"], block=True, timeout=10) == ("reply.x!1", {"number": 1})

    def test_an_interruption_brings_all_waiting_readers_back(self, layer: BaseChannelLayer) -> None:
        def wait() -> Received:
            return layer.receive(["jobs", "parts?a1"], block=True, timeout=10)

        start = time.monotonic()
        with ThreadPoolExecutor(3) as pool:
            readers = [pool.submit(wait) for _ in range(3)]
            # Not all of them may be waiting at the first.
            while not all(reader.done() for reader in readers) and time.monotonic() < start + 5:
                layer.interrupt()
                time.sleep(0.001)

        assert [reader.result() for reader in readers] == [(None, None)] * 3
        assert time.monotonic() - start < 5

    def test_an_interruption_loses_no_message(self) -> None:
        count = self.many // 5
        layer = self.make_layer(capacity=count)
        finished = threading.Event()

        def write() -> list[int]:
            for number in range(count):
                layer.send("parts?a1", {"number": number})
            return []

        def interrupt() -> list[int]:
            while not finished.is_set():
                layer.interrupt()
            return []

        def read() -> list[int]:
            try:
                return [(wait_for(layer, "parts?a1")[1] or {})["number"] for _ in range(count)]
            finally:
                finished.set()

        assert side_by_side(write, interrupt, read)[2] == list(range(count))

    def test_no_reader_waits_while_its_message_lies_there(self, layer: BaseChannelLayer) -> None:
        batch = [layer.prepare("a", {}), layer.prepare("b", {})]

        for _ in range(50):
            with ThreadPoolExecutor(2) as pool:
                of_both = pool.submit(wait_for, layer, "a", "b")
                of_one = pool.submit(wait_for, layer, "a")
                layer.send_many(batch)
                start = time.monotonic()
                if of_both.result()[0] == "a":
                    layer.send("a", {})
                assert of_one.result() == ("a", {})
                assert time.monotonic() - start < 5
            self.drain(layer, "a", "b")

    # Expiry

    @pytest.mark.parametrize("channel", KINDS)
    def test_an_unread_message_vanishes_after_its_expiry(self, channel: str) -> None:
        layer = self.make_layer(expiry=self.expiry)
        layer.send(channel, {"number": 1})
        self.advance(layer, 0.5 * self.expiry)
        layer.send(channel, {"number": 2})

        self.advance(layer, 0.6 * self.expiry)

        assert self.contents(layer, queue_of(channel)) == [{"number": 2}]

    @pytest.mark.parametrize("channel", KINDS)
    def test_a_message_is_there_until_its_expiry(self, channel: str) -> None:
        layer = self.make_layer(expiry=self.expiry)
        layer.send(channel, {"number": 1})

        self.advance(layer, 0.6 * self.expiry)

        assert self.contents(layer, queue_of(channel)) == [{"number": 1}]

    @pytest.mark.parametrize("to_group", [False, True])
    def test_what_its_reader_leaves_in_a_process_queue_expires(self, to_group: bool) -> None:
        layer = self.make_layer(expiry=self.expiry)
        for channel in "reply.x!1", "reply.x!2":
            layer.group_add("room", channel)
        if to_group:
            layer.send_group("room", {})
        else:
            layer.send("reply.x!1", {})
            layer.send("reply.x!2", {})

        first, _ = self.take(layer, "reply.x!")
        self.advance(layer, 1.1 * self.expiry)

        assert first is not None
        assert self.drain(layer, "reply.x!") == []

    @pytest.mark.parametrize("channel", KINDS)
    def test_expired_messages_do_not_fill_a_channel(self, channel: str) -> None:
        layer = self.make_layer(expiry=self.expiry, capacity=2, channel_capacity={"reply.*!": 2})
        for _ in range(2):
            layer.send(channel, {"old": True})
        with pytest.raises(ChannelFull):
            layer.send(channel, {"old": True})

        self.advance(layer, 1.1 * self.expiry)
        for number in range(2):
            layer.send(channel, {"number": number})

        with pytest.raises(ChannelFull):
            layer.send(channel, {"number": 2})
        assert self.contents(layer, queue_of(channel)) == [{"number": 0}, {"number": 1}]

    # Capacity

    @pytest.mark.parametrize("channel", KINDS)
    def test_a_channel_takes_its_capacity_and_no_more(self, channel: str) -> None:
        layer = self.make_layer(capacity=3, channel_capacity={"reply.*!": 3})

        for number in range(3):
            layer.send(channel, {"number": number})
        with pytest.raises(ChannelFull, match="holds 3 messages"):
            layer.send(channel, {"number": 3})
        first = self.take(layer, queue_of(channel))
        layer.send(channel, {"number": 4})
        with pytest.raises(ChannelFull):
            layer.send(channel, {"number": 5})

        assert first == (channel, {"number": 0})
        assert self.contents(layer, queue_of(channel)) == [{"number": 1}, {"number": 2}, {"number": 4}]

    def test_the_channels_of_a_process_queue_share_its_capacity(self) -> None:
        layer = self.make_layer(channel_capacity={"reply.*!": 3})

        for channel in "reply.x!1", "reply.x!2", "reply.x!3":
            layer.send(channel, {})
        with pytest.raises(ChannelFull, match=re.escape("'reply.x!'")):
            layer.send("reply.x!4", {})
        layer.send("reply.y!1", {})

        assert len(self.drain(layer, "reply.x!")) == 3

    def test_single_reader_channels_have_a_capacity_each(self) -> None:
        layer = self.make_layer(capacity=1)

        layer.send("parts?a1", {})
        layer.send("parts?a2", {})

        for channel in "parts?a1", "parts?a2":
            with pytest.raises(ChannelFull):
                layer.send(channel, {})

    def test_patterns_give_channels_another_capacity(self) -> None:
        patterns = {"http.*": 5, re.compile(r"jobs\.(low|high)$"): 1, "jobs.*": 4, "wait?*": 2, "socket.*!": 6}
        layer = self.make_layer(capacity=3, channel_capacity=patterns)

        def room(channel: str) -> int:
            batch = [layer.prepare(channel, {}) for _ in range(10)]
            return 10 - len(layer.send_many(batch))

        assert {channel: room(channel) for channel in CAPACITIES} == CAPACITIES

    def test_racing_writers_never_exceed_the_capacity(self) -> None:
        layer = self.make_layer(capacity=100)

        def write() -> int:
            own = self.other_process(layer)
            batches = [[own.prepare("jobs", {"number": number})] for number in range(50)]
            return sum(not own.send_many(batch) for batch in batches)

        accepted = sum(side_by_side(*[write] * 8))

        assert accepted == 100
        assert len(self.drain(layer, "jobs")) == 100

    def test_a_group_message_to_a_full_channel_is_dropped_and_counted(self) -> None:
        layer = self.make_layer(capacity=2, channel_capacity={"reply.*!": 2})
        for member in "full", "free", "reply.full!1", "reply.full!2", "reply.free!1":
            layer.group_add("room", member)
        for channel in "full", "reply.full!1":
            layer.send(channel, {"first": True})
            layer.send(channel, {"first": True})

        layer.send_group("room", {"number": 1})
        layer.send_group("room", {"number": 2})
        layer.send_group("room", {"number": 3})

        dropped = {name: self.dropped(layer, name) for name in ("full", "free", "reply.full!1", "reply.free!1")}
        assert dropped == {"full": 3, "free": 1, "reply.full!1": 3, "reply.free!1": 1}
        assert self.contents(layer, "full", "reply.full!") == [{"first": True}] * 4
        assert self.contents(layer, "free") == [{"number": 1}, {"number": 2}]
        assert self.contents(layer, "reply.free!") == [{"number": 1}, {"number": 2}]

    def dropped(self, layer: BaseChannelLayer, channel: str) -> int:
        """Return how many messages have been dropped, for whatever reason."""
        counts: Iterable[int] = layer.channel_statistics(channel)["dropped"].values()
        return sum(counts)

    # Batches

    def test_a_batch_arrives_in_its_order(self, layer: BaseChannelLayer) -> None:
        layer.group_add("room", "parts?a1")
        sends = [("parts?a1", False), ("room", True), ("jobs", False), ("room", True), ("parts?a1", False)]

        refused = layer.send_many([layer.prepare(name, {"n": n}, group) for n, (name, group) in enumerate(sends)])

        assert refused == []
        assert self.contents(layer, "parts?a1") == [{"n": 0}, {"n": 1}, {"n": 3}, {"n": 4}]
        assert self.contents(layer, "jobs") == [{"n": 2}]

    def test_an_empty_batch_is_sent_at_once(self, layer: BaseChannelLayer) -> None:
        assert layer.send_many([]) == []
        assert self.run(layer.send_many_async([])) == []

    @pytest.mark.parametrize("asynchronous", [False, True])
    def test_the_refused_part_of_a_batch_can_be_sent_again_in_order(self, asynchronous: bool) -> None:
        layer = self.make_layer(capacity=2, channel_capacity={"reply.*!": 2})
        names = ["parts?a1", "reply.x!1", "parts?a1", "reply.x!2", "parts?a1", "reply.x!1", "jobs", "parts?a1"]
        batch = [layer.prepare(name, {"n": number}) for number, name in enumerate(names)]

        def send(batch: Sequence[Send]) -> list[Send]:
            return self.run(layer.send_many_async(batch)) if asynchronous else layer.send_many(batch)

        refused = send(batch)
        received = self.contents(layer, "parts?a1"), self.contents(layer, "reply.x!")
        refused_again = send(refused)

        assert refused == [batch[4], batch[5], batch[7]]
        assert received == ([{"n": 0}, {"n": 2}], [{"n": 1}, {"n": 3}])
        assert refused_again == []
        assert self.contents(layer, "parts?a1") == [{"n": 4}, {"n": 7}]
        assert self.contents(layer, "reply.x!") == [{"n": 5}]
        assert self.contents(layer, "jobs") == [{"n": 6}]

    # Groups

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

    # Flushing, and what a layer says of itself

    def test_a_flush_removes_all_messages_and_groups(self, layer: BaseChannelLayer) -> None:
        for channel in [*KINDS, "reply.x!2"]:
            layer.group_add("room", channel)
            layer.send_group("room", {})
            layer.send(channel, {})
        # A broadcast of which one member has got its part, and the other not.
        for _ in range(3):
            self.take(layer, "reply.x!")

        layer.flush()
        left = self.drain(layer, *map(queue_of, KINDS))
        members = layer.group_channels("room")
        layer.send_group("room", {})

        assert (left, members) == ([], [])
        assert self.drain(layer, *map(queue_of, KINDS)) == []

    def test_a_flushed_layer_goes_on(self, layer: BaseChannelLayer) -> None:
        layer.group_add("room", "reply.x!before")
        layer.send("reply.x!before", {})
        self.take(layer, "reply.x!")
        layer.flush()

        layer.group_add("room", "reply.x!after")
        layer.send("reply.x!2", {})
        layer.send_group("room", {})

        assert self.drain(layer, "reply.x!") == [("reply.x!2", {}), ("reply.x!after", {})]

    def test_layers_see_and_flush_only_their_own(self) -> None:
        one, other = self.make_layer(), self.make_layer()
        for layer in one, other:
            layer.group_add("room", "reply.x!1")
        one.send("jobs", {})

        in_other = self.drain(other, "jobs")
        other.flush()
        one.send_group("room", {})

        assert in_other == []
        assert self.drain(one, "jobs") == [("jobs", {})]
        assert one.group_channels("room") == ["reply.x!1"]
        assert self.drain(one, "reply.x!") == [("reply.x!1", {})]
        assert other.group_channels("room") == []

    def test_a_layer_names_its_extensions_and_exceptions(self, layer: BaseChannelLayer) -> None:
        assert {"groups", "flush", "statistics", "async"} <= set(layer.extensions)
        assert layer.ChannelFull is exceptions.ChannelFull
        assert layer.MessageTooLarge is exceptions.MessageTooLarge
        assert (layer.expiry, layer.group_expiry, layer.capacity) == (60, 86_400, 100)

    def test_the_statistics_of_a_channel_tell_what_has_passed_and_what_waits(self) -> None:
        layer = self.make_layer(capacity=3, expiry=10 * self.expiry)
        before = layer.channel_statistics("jobs")
        for number in range(3):
            layer.send("jobs", {"number": number})
        with pytest.raises(ChannelFull):
            layer.send("jobs", {})
        self.advance(layer, 0.1 * self.expiry)
        self.take(layer, "jobs")

        after = layer.channel_statistics("jobs")

        assert before["seconds_since_received"] is None
        assert {key: after[key] for key in sorted(set(after) - TIMES)} == {
            "channel_full_count": 1,
            "channel_full_count_per_second": 0.1,
            "dropped": {},
            "messages_count": 3,
            "messages_count_per_second": 0.3,
            "messages_pending": 2,
            "messages_received": 1,
        }
        assert 0.1 * self.expiry <= after["messages_max_age"] < 0.1 * self.expiry + 5
        assert 0 <= after["seconds_since_received"] < 5

    def test_statistics_are_complete_from_the_start(self, layer: BaseChannelLayer) -> None:
        assert set(layer.channel_statistics("jobs")) == STATISTICS
        assert set(layer.global_statistics()) == STATISTICS

    def test_global_statistics_sum_up_all_channels(self, layer: BaseChannelLayer) -> None:
        for channel in KINDS:
            layer.send(channel, {})
        self.take(layer, "jobs")

        figures = layer.global_statistics()

        assert figures["messages_count"] == 3
        assert figures["messages_received"] == 1
        assert figures["messages_pending"] == 2

    def test_the_statistics_of_a_process_queue_are_those_of_all_its_channels(self, layer: BaseChannelLayer) -> None:
        layer.group_add("room", "reply.x!1")
        layer.group_add("room", "reply.x!2")
        layer.send("reply.x!1", {})
        layer.send_group("room", {})

        figures = layer.channel_statistics("reply.x!3")

        assert (figures["messages_count"], figures["messages_pending"]) == (2, 2)

    # What an interface server needs

    def test_a_process_queue_tells_its_reader_of_messages_and_members_in_order(self, layer: BaseChannelLayer) -> None:
        layer.group_add("room", "reply.x!1")
        layer.send("reply.x!2", {"number": 1})
        layer.send_group("room", {"number": 2})
        layer.group_discard("room", "reply.x!1")
        layer.send("reply.x!1", {"number": 3})

        assert self.run(read_entries(layer, "reply.x!", 5)) == [
            Entry(local="1", group="room", joins=True),
            Entry(local="2", content={"number": 1}),
            Entry(group="room", content={"number": 2}),
            Entry(local="1", group="room", joins=False),
            Entry(local="1", content={"number": 3}),
        ]

    def test_the_reader_of_a_process_queue_gets_a_broadcast_once(self, layer: BaseChannelLayer) -> None:
        for number in range(3):
            layer.group_add("room", f"reply.x!{number}")
        self.run(read_entries(layer, "reply.x!", 3))

        layer.send_group("room", {"number": 1})
        layer.send("reply.x!1", {"number": 2})

        assert self.run(read_entries(layer, "reply.x!", 2)) == [
            Entry(group="room", content={"number": 1}),
            Entry(local="1", content={"number": 2}),
        ]

    def test_a_process_queue_does_not_hand_out_what_has_expired(self) -> None:
        layer = self.make_layer(expiry=self.expiry, group_expiry=10 * self.expiry)
        layer.group_add("room", "reply.x!1")
        layer.send("reply.x!1", {"number": 1})
        self.advance(layer, 1.1 * self.expiry)
        layer.send("reply.x!1", {"number": 2})

        assert self.run(read_entries(layer, "reply.x!", 2)) == [
            Entry(local="1", group="room", joins=True),
            Entry(local="1", content={"number": 2}),
        ]

    def test_the_async_reader_is_woken_by_other_threads_within_milliseconds(self, layer: BaseChannelLayer) -> None:
        rounds = 200

        def answer() -> list[float]:
            for _ in range(rounds):
                assert wait_for(layer, "parts?ping") == ("parts?ping", {})
                layer.send("reply.x!pong", {})
            return []

        async def ask() -> list[float]:
            times = []
            for _ in range(rounds):
                start = time.monotonic()
                await layer.send_many_async([layer.prepare("parts?ping", {})])
                assert await read_entries(layer, "reply.x!", 1) == [Entry(local="pong", content={})]
                times.append(time.monotonic() - start)
                assert times[-1] < 5
            return times

        _, times = side_by_side(answer, lambda: self.run(ask()))

        assert sorted(times)[rounds // 2] < self.wake_within

    def test_the_async_reader_uses_no_processor_while_it_waits(self, layer: BaseChannelLayer) -> None:
        seconds = 0.5

        async def wait() -> float:
            start = time.process_time()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(layer.read_queue("reply.x!"), seconds)
            return time.process_time() - start

        assert self.run(wait()) < seconds / 20

    def test_a_cancelled_reader_loses_nothing(self, layer: BaseChannelLayer) -> None:
        complaints: list[dict[str, Any]] = []

        async def read_with_interruptions() -> list[int]:
            asyncio.get_running_loop().set_exception_handler(lambda loop, complaint: complaints.append(complaint))
            numbers: list[int] = []
            for turns_before in range(4):
                for turns_after in range(4):
                    reader = asyncio.create_task(layer.read_queue("reply.x!"))
                    await pass_turns(turns_before)
                    await layer.send_many_async([layer.prepare("reply.x!1", {"number": len(numbers)})])
                    await pass_turns(turns_after)
                    reader.cancel()
                    taken, *_ = await asyncio.gather(reader, return_exceptions=True)
                    entries = taken if isinstance(taken, list) else await read_entries(layer, "reply.x!", 1)
                    numbers += [(entry.content or {})["number"] for entry in entries]
            return numbers

        assert self.run(read_with_interruptions()) == list(range(16))
        assert complaints == []

    def test_a_reader_that_was_cancelled_while_it_waited_harms_no_successor(self, layer: BaseChannelLayer) -> None:
        async def cancel_one_and_read() -> list[Entry]:
            reader = asyncio.create_task(layer.read_queue("reply.x!"))
            await asyncio.sleep(0.01)
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
            successor = asyncio.create_task(read_entries(layer, "reply.x!", 1))
            await asyncio.sleep(0.01)
            await layer.send_many_async([layer.prepare("reply.x!1", {})])
            return await successor

        assert self.run(cancel_one_and_read()) == [Entry(local="1", content={})]

    def test_closed_channels_leave_their_groups_together(self, layer: BaseChannelLayer) -> None:
        for group, channel in (
            ("room", "reply.x!1"),
            ("hall", "reply.x!1"),
            ("room", "reply.x!2"),
            ("room", "reply.y!1"),
        ):
            layer.group_add(group, channel)

        self.run(layer.leave_groups("reply.x!", [("room", "1"), ("hall", "1"), ("unknown", "1")]))

        assert sorted(layer.group_channels("room")) == ["reply.x!2", "reply.y!1"]
        assert layer.group_channels("hall") == []

    def test_a_queue_without_members_hears_no_more_of_a_group(self, layer: BaseChannelLayer) -> None:
        for local in "1", "2":
            layer.group_add("room", f"reply.x!{local}")
        self.run(read_entries(layer, "reply.x!", 2))

        self.run(layer.leave_groups("reply.x!", [("room", "1")]))
        layer.send_group("room", {"number": 1})
        self.run(layer.leave_groups("reply.x!", [("room", "2")]))
        layer.send_group("room", {"number": 2})
        layer.send("reply.x!1", {"number": 3})

        assert self.run(read_entries(layer, "reply.x!", 2)) == [
            Entry(group="room", content={"number": 1}),
            Entry(local="1", content={"number": 3}),
        ]

    def test_living_channels_stay_in_their_groups(self) -> None:
        layer = self.make_layer(group_expiry=self.group_expiry)
        for group, channel in ("room", "reply.x!1"), ("hall", "reply.x!2"), ("room", "reply.x!dead"):
            layer.group_add(group, channel)

        self.advance(layer, 0.6 * self.group_expiry)
        self.run(layer.renew_groups("reply.x!", [("room", "1"), ("hall", "2")]))
        self.advance(layer, 0.6 * self.group_expiry)

        assert layer.group_channels("room") == ["reply.x!1"]
        assert layer.group_channels("hall") == ["reply.x!2"]

    def test_a_reader_registers_its_groups_again_after_the_layer_has_lost_its_data(
        self, layer: BaseChannelLayer
    ) -> None:
        layer.group_add("room", "reply.x!1")
        layer.flush()

        self.run(layer.renew_groups("reply.x!", [("room", "1")]))
        layer.send_group("room", {"number": 1})

        assert layer.group_channels("room") == ["reply.x!1"]
        assert self.run(read_entries(layer, "reply.x!", 1)) == [Entry(group="room", content={"number": 1})]

    def test_statistics_can_be_awaited(self, layer: BaseChannelLayer) -> None:
        layer.send("jobs", {})

        figures = self.run(layer.statistics_async("jobs"))

        assert set(figures) == STATISTICS
        assert figures["messages_pending"] == 1


TIMES = {"messages_max_age", "seconds_since_received"}
CAPACITIES = {
    "http.request": 5,
    "jobs.low": 1,
    "jobs.lowest": 4,
    "jobs": 3,
    "wait?a1": 2,
    "waits.a1": 3,
    "socket.x!1": 6,
    "http.request.body?a1": 5,
}


def side_by_side(*functions: Callable[[], T]) -> list[T]:
    """Run functions in a thread each, all at once, and return what they return."""
    start = threading.Barrier(len(functions))

    def run(function: Callable[[], T]) -> T:
        start.wait()
        return function()

    with ThreadPoolExecutor(len(functions)) as pool:
        return [done.result() for done in [pool.submit(run, function) for function in functions]]


def wait_for(layer: BaseChannelLayer, *channels: str, seconds: float = 10.0) -> Received:
    """Wait for a message, as a worker does: a receive that comes back early is repeated."""
    deadline = time.monotonic() + seconds
    while True:
        received = layer.receive(channels, block=True, timeout=max(0.0, deadline - time.monotonic()))
        if received[0] is not None or time.monotonic() >= deadline:
            return received


async def read_entries(layer: BaseChannelLayer, queue: str, count: int) -> list[Entry]:
    """Read a process queue until some number of entries has come."""
    entries: list[Entry] = []
    async with asyncio.timeout(10):
        while len(entries) < count:
            entries += await layer.read_queue(queue)
    return entries


async def pass_turns(count: int) -> None:
    """Let the event loop take some turns."""
    for _ in range(count):
        await asyncio.sleep(0)
