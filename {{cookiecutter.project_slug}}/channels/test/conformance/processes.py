"""Several processes that share a layer, and what becomes of it when one of them is killed."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from ...layers.base import BaseChannelLayer
from ...values.names import queue_of
from .promises import LayerPromises, wait_for

# So long, in seconds, a reader waits before it takes what it has found for everything.
SILENCE = 2.0
# A process takes this long at most to start, and to come to its end, in seconds.
PATIENCE = 60.0


class ProcessPromises(LayerPromises):
    """
    Several processes that share a layer, and what becomes of it when one of them is killed.

    ``lost_with_reader`` is the number of messages that a reader may take along when it is killed.
    """

    lost_with_reader: ClassVar[int] = 1

    @pytest.fixture
    def elsewhere(self) -> Iterator[Elsewhere]:
        """Return what starts other processes that have the same layer."""
        layer = self.make_layer()
        others = Elsewhere(layer, *self.recipe(layer))
        yield others
        others.end()

    def test_each_message_of_many_writers_reaches_one_of_many_readers(self, elsewhere: Elsewhere) -> None:
        *_writers, one, other = elsewhere.start(
            ("write", "jobs", 0, 300), ("write", "jobs", 300, 300), *[("read", "jobs", SILENCE)] * 2
        )

        numbers = one.found() + other.found()

        assert sorted(numbers) == [*range(600)]
        assert one.lines
        assert other.lines

    @pytest.mark.parametrize("channel", ["parts?a1", "reply.x!1"])
    def test_one_writer_and_one_reader_in_two_processes_see_the_same_order(
        self, elsewhere: Elsewhere, channel: str
    ) -> None:
        queue = queue_of(channel)
        read = ("read_queue", queue, 500) if queue != channel else ("read", channel, SILENCE)
        _, reader = elsewhere.start(("write", channel, 0, 500), read)

        assert reader.found() == [*range(500)]

    def test_a_group_reaches_members_of_other_processes(self, elsewhere: Elsewhere) -> None:
        for member in "parts?a1", "reply.x!1":
            elsewhere.layer.group_add("room", member)
        elsewhere.layer.send_group("room", {"number": 7})
        readers = elsewhere.start(("read", "parts?a1", SILENCE), ("read_queue", "reply.x!", 1))

        assert [reader.found() for reader in readers] == [[7], [7]]

    def test_readers_that_are_killed_take_along_no_more_than_they_had_in_hand(self, elsewhere: Elsewhere) -> None:
        count = 600
        chance = random.Random(1)
        # Readers that take their time: so more waits, for whoever would take more than one.
        read_slowly = ("read", "jobs", SILENCE, 0.003)
        _, witness, *readers = elsewhere.start(("write", "jobs", 0, count), *[read_slowly] * 4)
        read = []
        for reader in readers:
            time.sleep(0.1 + chance.random() / 10)
            read += reader.kill()
        read += witness.found()

        assert len(set(read)) == len(read), "nothing comes twice"
        assert set(read) <= {*range(count)}
        assert count - len(readers) * self.lost_with_reader <= len(read)

    def test_a_reader_that_is_killed_while_it_waits_takes_nothing_along(self, elsewhere: Elsewhere) -> None:
        readers = elsewhere.start(*[("read", "jobs", PATIENCE)] * 3)
        # They wait, or are about to.
        time.sleep(0.5)
        for reader in readers:
            assert reader.kill() == []
        for number in range(10):
            elsewhere.layer.send("jobs", {"number": number})
        received = [wait_for(elsewhere.layer, "jobs")[1] for _ in range(10)]

        assert sorted(message["number"] for message in received if message) == [*range(10)]

    def test_a_writer_that_is_killed_leaves_a_layer_that_works(self, elsewhere: Elsewhere) -> None:
        for writer in elsewhere.start(*[("write", "jobs", 0, 100_000)] * 2):
            first = wait_for(elsewhere.layer, "jobs")
            writer.kill()
            assert first != (None, None)
        self.drain(elsewhere.layer, "jobs")
        elsewhere.layer.send("jobs", {"number": -1})

        assert wait_for(elsewhere.layer, "jobs") == ("jobs", {"number": -1})

    def test_a_reader_in_another_process_is_woken_within_milliseconds(self, elsewhere: Elsewhere) -> None:
        rounds = 100
        elsewhere.start(("answer", "parts?ping", "parts?pong", rounds))
        times = []
        for _ in range(rounds):
            start = time.monotonic()
            elsewhere.layer.send("parts?ping", {})
            assert wait_for(elsewhere.layer, "parts?pong") == ("parts?pong", {})
            times.append(time.monotonic() - start)

        assert sorted(times)[rounds // 2] < self.wake_within

    def test_a_reader_in_another_process_uses_no_processor_while_it_waits(self, elsewhere: Elsewhere) -> None:
        seconds = 3.0
        [reader] = elsewhere.start(("wait", "jobs", seconds))

        [worked] = reader.found()
        assert worked < seconds / 20


class Elsewhere:
    """Starts processes that have the layer, made from its BACKEND and CONFIG."""

    def __init__(self, layer: BaseChannelLayer, backend: str, config: dict[str, Any]) -> None:
        self.layer = layer
        self._recipe = backend, config
        self._started: list[OtherProcess] = []

    def start(self, *orders: tuple[Any, ...]) -> list[OtherProcess]:
        """Have processes begin with tasks of ``other_process``, all at once: the name of each, and what it is given."""
        processes = [OtherProcess((*self._recipe, task, arguments)) for task, *arguments in orders]
        self._started += processes
        for process in processes:
            process.wait_until_ready()
        for process in processes:
            process.begin()
        return processes

    def end(self) -> None:
        """Have none of them go on."""
        for process in self._started:
            process.kill()


class OtherProcess:
    """One process; ``lines`` is what it has found, when it has ended."""

    def __init__(self, order: tuple[Any, ...]) -> None:
        self.lines: list[Any] = []
        command = [sys.executable, "-m", f"{__package__}.other_process", repr(order)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)  # noqa: S603

    def wait_until_ready(self) -> None:
        """Wait until it has the layer."""
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == '"ready"\n', "The process has not started; its error is above."

    def begin(self) -> None:
        """Have it begin."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def found(self) -> list[Any]:
        """Wait for its end; return what it has found."""
        self._read()
        assert self._process.returncode == 0
        return self.lines

    def kill(self) -> list[Any]:
        """End it at once, whatever it is at; return what it has found."""
        if self._process.returncode is None:
            self._process.kill()
            self._read()
        return self.lines

    def _read(self) -> None:
        text, _ = self._process.communicate(timeout=PATIENCE)
        # The last line may be cut off.
        self.lines += [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
