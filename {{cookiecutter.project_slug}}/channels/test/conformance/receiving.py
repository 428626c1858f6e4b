"""Who gets a message, in which order, and how it is waited for."""

from __future__ import annotations

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from ...exceptions import InvalidName
from ...layers.base import BaseChannelLayer
from ...values.names import queue_of
from .promises import KINDS, LayerPromises, Received, side_by_side, wait_for


class ReceivingPromises(LayerPromises):
    """Who gets a message, in which order, and how it is waited for."""

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
        # So long that what the threads do at their beginning, to connect for example, is little beside it.
        seconds = 1.5

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
        for _ in range(50):
            batch = [layer.prepare("a", {}), layer.prepare("b", {})]
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
