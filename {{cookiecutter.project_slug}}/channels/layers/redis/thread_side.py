"""The worker's side of the Redis layer: a connection for each thread, and what a thread wants at once in one write."""

from __future__ import annotations

import contextlib
import functools
import logging
import random
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any

from redis.exceptions import NoScriptError, ResponseError

from ...exceptions import ChannelLayerUnavailable
from ...values.names import prefix_of, require_readable_name
from ..base import Content, Entry, Held, Send
from ..members import QueueReader
from . import held as held_messages
from . import scripts
from .hosts import StoreHost
from .links import Command, StoreIsFull, packed, refusal
from .send_script import SEND
from .several import Popped, late_answers, pop_from_all, pop_from_any
from .store import ANSWER_TIMEOUT, BLOCK, SWEEP_BATCH, WILLS_BATCH, Outcome, RedisStore, log_collected

logger = logging.getLogger(__name__)

# Every reader looks for dead processes and dead messages so often, in seconds.
LOOK_INTERVAL = 3.0

Received = tuple[str, Content]


class ThreadSide(RedisStore):
    """What workers, and the rest of a site, call."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._readers: dict[str, QueueReader] = {}
        self._reading = threading.Lock()
        self._interruptions = 0
        # What each thread has popped and could not put back.
        self._left = threading.local()
        self._next_look = time.monotonic() + LOOK_INTERVAL

    # Sending

    def send_many(self, batch: Iterable[Send]) -> list[Send]:
        by_host = self._by_host(batch)
        # Nobody waits for a host that may not answer before the others have their messages.
        numbers = sorted(by_host, key=lambda number: self._hosts[number].rests)
        return self._left_after([self._outcome(self._hosts[number], by_host[number]) for number in numbers])

    def _outcome(self, host: StoreHost, sends: list[Send]) -> Outcome:
        try:
            return Outcome(host, sends, self._send_to(host, sends))
        except StoreIsFull:
            return Outcome(host, sends, self._refuse(sends))
        except ChannelLayerUnavailable as error:
            return Outcome(host, sends, [], error)

    def _send_to(self, host: StoreHost, sends: Sequence[Send]) -> list[Send]:
        if self.statistics.are_due:
            self._save_counts()
        self._learn_time(host)
        return self._refused(sends, host.threads.run(SEND, *self._send_arguments(host.asides, sends)))

    def _learn_time(self, host: StoreHost) -> None:
        if self._cipher is not None:
            host.threads.learn_time()

    def _keep_done(self, done: str, error: ChannelLayerUnavailable) -> None:
        """Count later that a worker has finished with a message, which the store could not be told."""
        if done and not error.uncertain:
            self.statistics.count_received(done)

    def _save_counts(self) -> None:
        """Save what has been counted. That this fails is no reason for anything else to fail."""
        counts = self.statistics.take()
        host = self._hosts[self._anywhere()]
        try:
            host.threads.run(scripts.SAVE_COUNTS, *self._count_arguments(counts))
            host.works("counts")
        except ChannelLayerUnavailable as error:
            if not error.uncertain:
                self.statistics.give_back(counts)
            host.failed(error, "counts")

    # A worker's turn

    def send_and_receive(
        self, batch: Sequence[Send], channels: Sequence[str], timeout: float, finished: str = ""
    ) -> tuple[list[Send], Received | tuple[None, None]]:
        # What comes from a process queue has been counted when it was popped.
        done = prefix_of(finished) if "!" not in finished else ""
        self._tend_store()
        if len(self._hosts) > 1:
            refused, received = self._turn_at_several(batch, channels, timeout, done)
        else:
            names, wait = _readable(tuple(channels)), min(timeout, BLOCK)
            refused, received = self._turn(self._hosts[0], batch, names, wait, done)
        if received[0] is not None and "!" not in received[0]:
            self.statistics.note_read(prefix_of(received[0]))
        return refused, received

    def _turn(
        self, host: StoreHost, batch: Sequence[Send], names: Sequence[str], wait: float, done: str
    ) -> tuple[list[Send], Received | tuple[None, None]]:
        message = self._expanded(names)
        pops = names and message is None
        try:
            self._learn_time(host)
            arguments = self._send_arguments(host.asides, batch, done)
            commands: list[Command] = [SEND.by_digest(arguments)] if batch or done else []
            if pops:
                commands.append(_pop(self._keys_on(0, names), wait))
            answers = host.threads.ask(commands)
        except ChannelLayerUnavailable as error:
            self._keep_done(done, error)
            raise
        popped = answers.pop() if pops else None
        if isinstance(popped, ResponseError) and not answers:
            raise refusal(popped)
        if popped is not None and not isinstance(popped, ResponseError):
            message = self._message(host, popped)
        try:
            missed = _script_result(host, answers[0], arguments) if answers else []
        except ChannelLayerUnavailable as error:
            self._keep_done(done, error)
            if isinstance(error, StoreIsFull):
                return self._refuse(batch), message or (None, None)
            if message is None:
                raise
            # The message that has come with it shall not be lost, so the worker hears nothing of the failure.
            host.outage.goes_on(error, "sends")
            return self._left_of(batch, error), message
        if answers:
            host.outage.is_over("sends")
        return self._refused(batch, missed), message or (None, None)

    def _turn_at_several(
        self, batch: Sequence[Send], channels: Sequence[str], timeout: float, done: str
    ) -> tuple[list[Send], Received | tuple[None, None]]:
        try:
            refused = self.send_many(batch)
        except ChannelLayerUnavailable as error:
            # Other hosts may have a message.
            refused = self._left_of(batch, error)
        if done:
            self._tell_done(self._hosts[self._anywhere()], done)
        try:
            return refused, self._receive(channels, timeout > 0 and not refused, timeout) or (None, None)
        except ChannelLayerUnavailable:
            # Were it raised now, what has been sent would be sent again; it is at the next turn.
            if not batch:
                raise
            return refused, (None, None)

    def _tell_done(self, host: StoreHost, done: str) -> None:
        try:
            host.threads.run(SEND, *self._send_arguments(host.asides, [], done))
            host.works("sends")
        except ChannelLayerUnavailable as error:
            host.failed(error, "sends")
            self._keep_done(done, error)

    # Receiving

    def receive(
        self, channels: Sequence[str], block: bool = False, timeout: float | None = None
    ) -> Received | tuple[None, None]:
        message = self._receive(channels, block, timeout)
        if message is None:
            return None, None
        if "!" not in message[0]:
            self.statistics.count_received(message[0])
        return message

    def _receive(self, channels: Sequence[str], block: bool, timeout: float | None) -> Received | None:
        names = _readable(tuple(channels))
        if not names:
            return None
        deadline = None if timeout is None else time.monotonic() + timeout
        interruptions = self._interruptions
        while True:
            self._tend_store()
            message = self._expanded(names) or self._pop_any(names, 0.0)
            if message or not block:
                return message
            left = BLOCK if deadline is None else min(BLOCK, deadline - time.monotonic())
            if left <= 0 or interruptions != self._interruptions:
                return None
            message = self._pop_any(names, left)
            if message:
                return message

    def interrupt(self) -> None:
        self._interruptions += 1

    def _pop_any(self, names: Sequence[str], wait: float) -> Received | None:
        if len(self._hosts) == 1:
            return self._pop_from(self._hosts[0], self._keys_on(0, names), wait)
        message = self._first_of(late_answers(self._hosts), names)
        if message:
            return message
        pops = {host: _pop(keys, wait) for host, keys in self._keys_by_host(names).items()}
        if wait:
            return self._first_of(pop_from_all(pops, wait + ANSWER_TIMEOUT), names)
        while popped := pop_from_any(pops):
            if message := self._first_of(popped, names):
                return message
        return None

    def _first_of(self, popped: Popped, names: Sequence[str]) -> Received | None:
        """Return one of the messages that several stores have brought, from these channels, and put the others back."""
        everything = [*getattr(self._left, "popped", ()), *popped]
        self._left.popped = []
        message, others = None, []
        for host, answer in everything:
            if answer is None:
                continue
            self._learn_time_to_live(host)
            queue = self._queue_in(answer)
            if queue.endswith("!"):
                # What it holds for its members is kept for all threads.
                self._feed(host, queue, list(self._living(host, queue, answer[1])))
            elif message is None and queue in names:
                message = self._message(host, answer)
            else:
                others.append((host, answer))
        # The first one comes to stand first again.
        for host, answer in reversed(others):
            if not self._put_back(host, answer):
                self._left.popped.insert(0, (host, answer))
        return message or self._expanded(names)

    def _learn_time_to_live(self, host: StoreHost) -> None:
        """Have the store's time known, by which messages expire: the pops themselves do not ask for it."""
        if not host.asides.knows_time:
            with contextlib.suppress(ChannelLayerUnavailable):
                host.threads.learn_time()

    def _put_back(self, host: StoreHost, answer: Any) -> bool:
        """Undo a pop; return False if the host cannot be reached."""
        queue = self._queue_in(answer)
        try:
            host.threads.run(scripts.PUT_BACK, self.prefix, self._expiry, queue, *answer[1])
        except ChannelLayerUnavailable as error:
            host.failed(error, "pops")
            if error.uncertain:
                # Were it put back once more, it might come twice.
                self.statistics.count_gone(queue, "uncertain")
            return error.uncertain
        return True

    def give_back(self) -> None:
        if len(self._hosts) > 1:
            self._first_of(late_answers(self._hosts, ANSWER_TIMEOUT), ())
            for _, answer in self._left.popped:
                self.statistics.count_gone(self._queue_in(answer), "could not be put back")

    def _keys_by_host(self, names: Sequence[str]) -> dict[StoreHost, tuple[str, ...]]:
        numbered = ((host, self._keys_on(number, names)) for number, host in enumerate(self._hosts))
        return {host: keys for host, keys in numbered if keys}

    def _keys_on(self, number: int, names: Sequence[str]) -> tuple[str, ...]:
        here = tuple(names) if len(self._hosts) == 1 else self._names_on(number, names)
        rotations = _rotations(self.prefix, here)
        # Whichever comes first is served first: so each of them does, now and then.
        return rotations[int(random.random() * len(rotations))] if rotations else ()

    def _names_on(self, number: int, names: Sequence[str]) -> tuple[str, ...]:
        return tuple(name for name in names if self._host_of(name, number) == number)

    def _pop_from(self, host: StoreHost, keys: tuple[str, ...], wait: float) -> Received | None:
        while True:
            popped = host.threads.exchange([_pop(keys, wait)])[0]
            if popped is None:
                return None
            message = self._message(host, popped)
            if message:
                return message
            wait = 0.0

    def _message(self, host: StoreHost, popped: Any) -> Received | None:
        """Return the message in what has been popped, if it holds one that lives."""
        if popped is None:
            return None
        queue = self._queue_in(popped)
        living = list(self._living(host, queue, popped[1]))
        if queue.endswith("!"):
            self._feed(host, queue, living)
            return self._expanded([queue])
        return (queue, living[0][1].content or {}) if living else None

    def _queue_in(self, popped: Any) -> str:
        """Return the queue from which something has been popped."""
        return str(popped[0].decode()[len(self.prefix) + len("queue:") :])

    def _expanded(self, names: Sequence[str]) -> Received | None:
        """Return what a broadcast that has been popped still holds for one of the members behind a queue."""
        if not self._readers:
            return None
        with self._reading:
            waiting = (self._readers[name].take() for name in names if name in self._readers)
            return next((message for message in waiting if message), None)

    def _feed(self, host: StoreHost, queue: str, living: Iterable[tuple[float, Entry]]) -> None:
        with self._reading:
            if queue not in self._readers:
                self._readers[queue] = QueueReader(queue, self.group_expiry, host.seconds, self.expiry)
            for sent, entry in living:
                self.statistics.count_received(queue, entry.content is not None)
                self._readers[queue].feed([entry], sent)

    def _forget_deliveries(self) -> None:
        with self._reading:
            self._readers.clear()

    # Looking after the store

    def _tend_store(self) -> None:
        """Every few seconds, drop what nobody reads, and carry out the last wills of dead interface processes."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + LOOK_INTERVAL
        self._save_counts()
        for host in [host for host in self._hosts if not host.rests or len(self._hosts) == 1]:
            try:
                self._tend(host)
                host.works("tending")
            except ChannelLayerUnavailable as error:
                host.failed(error, "tending")

    def _tend(self, host: StoreHost) -> None:
        if unreadable := self._unreadable_commands():
            host.threads.exchange(unreadable)
        host.threads.run(scripts.SWEEP, *self._look_head, SWEEP_BATCH)
        while collected := host.threads.run(scripts.COLLECT, *self._look_head, WILLS_BATCH, *self._look_limits):
            log_collected(*collected)

    # Worker processes; the first host knows of them

    def renew_worker(self, worker: str, held: Sequence[Held]) -> None:
        # The threads may all be busy for long.
        if self.statistics.are_due:
            self._save_counts()
        run = self._hosts[0].threads.run
        run(scripts.RENEW_WORKER, self.prefix, worker, self._lease, held_messages.pack(held))
        while collected := run(scripts.COLLECT_WORKER, self.prefix, *self._look_limits):
            _log_lost(collected[0].decode(), held_messages.unpack(collected[1]))

    def end_worker(self, worker: str) -> None:
        self._save_counts()
        self._hosts[0].threads.run(scripts.END_WORKER, self.prefix, worker)

    def is_held(self, reply_channel: str, order: int) -> bool:
        everything = self._hosts[0].threads.exchange([("HVALS", f"{self.prefix}held")])[0]
        return any(
            (held.reply_channel, held.order) == (reply_channel, order)
            for packed in everything
            for held in held_messages.unpack(packed)
        )


@functools.lru_cache(maxsize=1000)
def _readable(channels: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(require_readable_name(channel) for channel in channels)


@functools.lru_cache(maxsize=1000)
def _rotations(prefix: str, names: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return the keys of queues, beginning with each of them in turn."""
    keys = tuple(f"{prefix}queue:{name}" for name in names)
    return [keys[start:] + keys[:start] for start in range(len(keys))]


def _script_result(host: StoreHost, answer: Any, arguments: Sequence[Any]) -> Sequence[Any]:
    """Return what the script that sends has returned, sent again if the store did not know it."""
    if isinstance(answer, NoScriptError):
        return host.threads.run_text(SEND, arguments)  # type: ignore[no-any-return]
    if isinstance(answer, ResponseError):
        raise refusal(answer)
    return answer  # type: ignore[no-any-return]


# A worker asks the same over and over, but for the last moments before a deadline.
@functools.lru_cache(maxsize=1000)
def _pop(keys: tuple[str, ...], wait: float) -> bytes:
    if wait > 0:
        # Zero would mean to wait for ever.
        return packed([("BLMPOP", f"{max(wait, 0.001):.3f}", len(keys), *keys, "LEFT")])
    return packed([("LMPOP", len(keys), *keys, "LEFT")])


def _log_lost(worker: str, held: Sequence[Held]) -> None:
    logger.error("Worker process %s has died", worker)
    for message in held:
        logger.error(
            "A message on %s from %s is lost with it, after %.0f s of work",
            message.channel,
            message.reply_channel or "nobody",
            message.seconds,
        )
