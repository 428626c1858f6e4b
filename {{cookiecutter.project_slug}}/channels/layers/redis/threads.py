"""What threads do with a store: workers, and the rest of a site. What one wants at once goes in one write."""

from __future__ import annotations

import functools
import random
from collections.abc import Iterable, Sequence
from typing import Any

from redis.exceptions import NoScriptError, ResponseError

from ...exceptions import ChannelLayerUnavailable
from ...values.names import prefix_of
from ..base import Delivery, Send, UnderWay
from ..under_way import log_dead_worker, pack_messages, unpack_messages
from . import keyspace, scripts
from .connections import Command, StoreIsFull, packed, refusal
from .counts import Figures
from .hosts import StoreHost
from .reader import Reader, readable
from .scripts import SEND
from .store import BLOCK, LEASE, SWEEP_BATCH, WILLS_BATCH, Store, log_collected


class HostForThreads:
    """One host of a store, as threads use it: each has a connection of its own."""

    def __init__(self, store: Store, host: StoreHost) -> None:
        self._store = store
        self.host = host
        self._connections = host.connections
        self._run = host.connections.run
        self.reader = Reader(self.pop, self._tend_quietly)
        # It knows of worker processes.
        self.first = self

    def of(self, channel: str) -> HostForThreads:
        """Return the host that knows of a channel's memberships: where a broadcast to it is pushed."""
        return self

    # Sending

    def send_many(self, batch: Iterable[Send]) -> list[Send]:
        sends = list(batch)
        if self._store.statistics.are_due:
            self.save_counts()
        self._learn_time()
        try:
            return self._store.refused(sends, self._run(SEND, *self._store.send_arguments(self.host, sends)))
        except StoreIsFull:
            return self._store.refused_for_memory(sends)

    def take_turn(
        self, batch: Sequence[Send], channels: Sequence[str], timeout: float, done: str
    ) -> tuple[list[Send], Delivery | None]:
        """Do a worker's turn. What is sent and the pop leave in one write."""
        store, host, names, message = self._store, self.host, readable(tuple(channels)), None
        self.reader.tend_when_due()
        try:
            if store.cipher is not None:
                self._connections.learn_time()
            arguments = store.send_arguments(host, batch, done) if batch or done else []
            commands: list[Command] = [SEND.by_digest(arguments)] if arguments else []
            if names:
                commands.append(self.pop_command(names, timeout if timeout < BLOCK else BLOCK))
            answers = self._connections.ask(commands)
        except ChannelLayerUnavailable as error:
            store.keep_done(done, error)
            raise
        popped = answers.pop() if names else None
        if isinstance(popped, ResponseError) and not answers:
            raise refusal(popped)
        if popped is not None and not isinstance(popped, ResponseError):
            message = store.message_in(host, popped)
        if not answers:
            return [], message
        try:
            missed = self._script_result(answers[0], arguments)
        except ChannelLayerUnavailable as error:
            store.keep_done(done, error)
            if isinstance(error, StoreIsFull):
                return store.refused_for_memory(batch), message
            if message is None:
                raise
            # The message that has come with it shall not be lost, so the worker hears nothing of the failure.
            host.outage.goes_on(error, "sends")
            return store.left_of(batch, error), message
        host.outage.is_over("sends")
        return store.refused(batch, missed), message

    def _script_result(self, answer: Any, arguments: Sequence[Any]) -> Any:
        """Return what the script that sends has returned, sent again if the store did not know it."""
        if isinstance(answer, NoScriptError):
            return self._connections.run_text(SEND, arguments)
        if isinstance(answer, ResponseError):
            raise refusal(answer)
        return answer

    def tell_done(self, done: str) -> None:
        """Say that a worker has finished with a message."""
        try:
            self._run(SEND, *self._store.send_arguments(self.host, [], done))
            self.host.works("sends")
        except ChannelLayerUnavailable as error:
            self.host.failed(error, "sends")
            self._store.keep_done(done, error)

    # Receiving

    def give_back(self) -> None:
        """Have nothing to put back: whatever is popped is given to somebody."""

    def pop(self, names: Sequence[str], wait: float) -> Delivery | None:
        """Take a message from any of some channels, and wait for one so many seconds."""
        while True:
            popped = self._connections.exchange([self.pop_command(names, wait)])[0]
            if popped is None:
                return None
            message = self._store.message_in(self.host, popped)
            if message:
                return message
            wait = 0.0

    def pop_command(self, names: Sequence[str], wait: float) -> Command:
        # Whichever comes first is served first: so each of them does, now and then.
        return _pop(self._store.prefix, names, int(random.random() * len(names)), wait)

    # Groups

    def group_add(self, group: str, channel: str) -> None:
        self._learn_time()
        self._run(scripts.GROUP_ADD, *self._store.group_add_arguments(self.host, group, channel))

    def group_discard(self, group: str, channel: str) -> None:
        self._learn_time()
        self._run(scripts.GROUP_DISCARD, *self._store.group_discard_arguments(self.host, group, channel))

    def group_channels(self, group: str) -> list[str]:
        found = [part.decode() for part in self._run(scripts.GROUP_CHANNELS, *self._store.head, group)]
        return [queue + local for queue, local in zip(found[::2], found[1::2], strict=True)]

    # Figures

    def channel_figures(self, queue: str) -> list[Figures]:
        """Return what the store counts of one channel."""
        return [self._run(scripts.FIGURES, *self._store.head, f"queue:{queue}", f"counts:{prefix_of(queue)}")]

    def all_figures(self) -> list[Figures]:
        """Return what the store counts of all channels, in several parts."""
        # What has died in queues is counted when they are looked at, so counts are not looked for before.
        return [
            self._run(scripts.FIGURES, *self._store.head, *keys)
            for pattern in ("queue:*", "counts:*")
            for keys in keyspace.pages(self._connections, self._store.prefix, pattern)
        ]

    def save_counts(self) -> None:
        """Save what has been counted. That this fails is no reason for anything else to fail."""
        counts = self._store.statistics.take()
        try:
            self._run(scripts.SAVE_COUNTS, *self._store.count_arguments(counts))
            self.host.works("counts")
        except ChannelLayerUnavailable as error:
            self._store.keep_counts(counts, error)
            self.host.failed(error, "counts")

    def flush(self) -> None:
        for keys in keyspace.scan(self._connections, self._store.prefix, "*"):
            self._connections.exchange([("UNLINK", *keys)])

    # Looking after the store

    def _tend_quietly(self) -> None:
        self.save_counts()
        self.tend()

    def tend(self) -> None:
        """Drop what nobody reads, and carry out the last wills of dead interface processes."""
        try:
            if unreadable := self._store.unreadable_commands():
                self._connections.exchange(unreadable)
            self._run(scripts.SWEEP, *self._store.head, SWEEP_BATCH)
            while collected := self._run(scripts.COLLECT, *self._store.look, WILLS_BATCH):
                log_collected(*collected)
            self.host.works("tending")
        except ChannelLayerUnavailable as error:
            self.host.failed(error, "tending")

    # Worker processes

    def renew_worker(self, worker: str, has: Sequence[UnderWay]) -> None:
        # The threads may all be busy for long.
        if self._store.statistics.are_due:
            self.save_counts()
        self._run(scripts.RENEW_WORKER, *self._store.head, worker, self._store.lease, pack_messages(has))
        while collected := self._run(scripts.COLLECT_WORKER, *self._store.look):
            log_dead_worker(collected[0].decode(), unpack_messages(collected[1]), LEASE)

    def end_worker(self, worker: str) -> None:
        self.save_counts()
        self._run(scripts.END_WORKER, *self._store.head, worker)

    def _learn_time(self) -> None:
        if self._store.cipher is not None:
            self._connections.learn_time()


# A worker asks the same over and over, but for the last moments before a deadline.
@functools.lru_cache(maxsize=1000)
def _pop(prefix: str, names: Sequence[str], first: int, wait: float) -> bytes:
    keys = [f"{prefix}queue:{name}" for name in (*names[first:], *names[:first])]
    if wait > 0:
        # Zero would mean to wait for ever.
        return packed([("BLMPOP", f"{max(wait, 0.001):.3f}", len(keys), *keys, "LEFT")])
    return packed([("LMPOP", len(keys), *keys, "LEFT")])
