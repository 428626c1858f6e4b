"""How the tests of a channel layer make it, let its time pass, and take what is in it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar, TypeVar

import pytest

from ...layers.base import BaseChannelLayer, Content
from ..process_queue import MemberMessages

T = TypeVar("T")
Received = tuple[str, Content] | tuple[None, None]

# One of each kind: any worker reads the first, one reader the second, one process the third.
KINDS = ["jobs", "parts?a1", "reply.x!1"]


STATISTICS = {
    "messages_count",
    "messages_count_per_second",
    "messages_received",
    "messages_unfinished",
    "messages_pending",
    "messages_max_age",
    "seconds_since_received",
    "channel_full_count",
    "channel_full_count_per_second",
    "dropped",
}


class LayerPromises:
    """
    What the promises of a channel layer have in common.

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

    def recipe(self, layer: BaseChannelLayer) -> tuple[str, Content]:
        """
        Return the BACKEND and the CONFIG with which another process makes the same layer: a dotted path and literals.

        Only a layer that spans processes needs one.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must say in recipe(layer) how another process makes the same layer; or the class "
            "of the layer that it is one of a single process, with spans_processes = False."
        )

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

    def drain(self, layer: BaseChannelLayer, *names: str) -> list[tuple[str, Content]]:
        """Take all messages that are there; from a process queue, what each member behind it gets."""
        queues = [name for name in names if name.endswith("!")]
        channels = [name for name in names if name not in queues]
        taken = [message for queue in queues for message in self.run(MemberMessages(layer).take(queue))]
        while True:
            channel, message = self.take(layer, *channels)
            if channel is None or message is None:
                return taken
            taken.append((channel, message))

    def contents(self, layer: BaseChannelLayer, *names: str) -> list[Content]:
        """Take the content of all messages that are there."""
        return [message for _, message in self.drain(layer, *names)]


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


async def pass_turns(count: int) -> None:
    """Let the event loop take some turns."""
    for _ in range(count):
        await asyncio.sleep(0)
