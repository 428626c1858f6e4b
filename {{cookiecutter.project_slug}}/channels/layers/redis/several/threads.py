"""What threads do with several hosts."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Sequence
from typing import Any

from ....exceptions import ChannelLayerUnavailable
from ....values.names import queue_of
from ...base import Delivery, Send
from .. import scripts
from ..connections import Command
from ..counts import Figures
from ..hosts import StoreHost
from ..reader import Reader
from ..store import ANSWER_TIMEOUT
from ..threads import HostForThreads
from .pops import Popped, late_answers, pop_from_all, pop_from_any
from .spread import Outcome, Spread


class HostsForThreads:
    """Several hosts, as threads use them; what is not here is done with one of them."""

    def __init__(self, spread: Spread) -> None:
        self._spread = spread
        self._store = spread.store
        self.hosts = [HostForThreads(spread.store, host) for host in spread.hosts]
        self.reader = Reader(self.pop, self._tend)
        # It knows of worker processes.
        self.first = self.hosts[0]
        # What each thread has popped and could not put back.
        self._left = threading.local()

    def of(self, channel: str) -> HostForThreads:
        """Return the host that knows of a channel's memberships: where a broadcast to it is pushed."""
        return self.hosts[self._spread.ring.host_of(queue_of(channel))]

    # Sending

    def send_many(self, batch: Iterable[Send]) -> list[Send]:
        by_host = self._spread.by_host(batch)
        # Words to connections are never given up, and a host that does not answer takes seconds at each attempt.
        resting = [
            number for number, sends in by_host.items() if self.hosts[number].host.rests and _are_finishes(sends)
        ]
        kept = [send for number in resting for send in by_host.pop(number)]
        # Nobody waits for a host that may not answer before the others have their messages; and a connection that is
        # told that its message is done may have the next one run at once.
        numbers = sorted(by_host, key=lambda number: (self.hosts[number].host.rests, _has_finish(by_host[number])))
        return kept + self._spread.left_after(
            [self._outcome(self.hosts[number], by_host[number]) for number in numbers]
        )

    def _outcome(self, host: HostForThreads, sends: list[Send]) -> Outcome:
        try:
            return Outcome(host.host, sends, host.send_many(sends))
        except ChannelLayerUnavailable as error:
            return Outcome(host.host, sends, [], error)

    def take_turn(
        self, batch: Sequence[Send], channels: Sequence[str], timeout: float, done: str
    ) -> tuple[list[Send], Delivery | None]:
        """Do a worker's turn: send to some hosts, pop from all."""
        self.reader.tend_when_due()
        try:
            refused = self.send_many(batch)
        except ChannelLayerUnavailable as error:
            # Other hosts may have a message.
            refused = self._store.left_of(batch, error)
        if done:
            self._anywhere().tell_done(done)
        try:
            return refused, self.reader.take(channels, 0.0 if refused else timeout)
        except ChannelLayerUnavailable:
            # Were it raised now, what has been sent would be sent again; it is at the next turn.
            if not batch:
                raise
            return refused, None

    # Receiving

    def pop(self, names: Sequence[str], wait: float) -> Delivery | None:
        """Take a message from any of some channels, and wait for one so many seconds."""
        message = self.first_of(late_answers(self._spread.hosts), names)
        if message:
            return message
        pops = self._pops(names, wait)
        if wait:
            return self.first_of(pop_from_all(pops, wait + ANSWER_TIMEOUT), names)
        while popped := pop_from_any(pops):
            if message := self.first_of(popped, names):
                return message
        return None

    def _pops(self, names: Sequence[str], wait: float) -> dict[StoreHost, Command]:
        pops = {}
        for number, host in enumerate(self.hosts):
            here = tuple(name for name in names if self._spread.host_of(name) in (None, number))
            if here:
                pops[host.host] = host.pop_command(here, wait)
        return pops

    def first_of(self, popped: Popped, names: Sequence[str]) -> Delivery | None:
        """Return one of the messages that several hosts have brought, from these channels, and put the others back."""
        everything = [*getattr(self._left, "popped", ()), *popped]
        self._left.popped = []
        message, others = None, []
        for host, answer in everything:
            if answer is None:
                continue
            self._learn_time_to_live(host)
            if message is None and self._store.queue_in(answer) in names:
                message = self._store.message_in(host, answer)
            else:
                others.append((host, answer))
        # The first one comes to stand first again.
        for host, answer in reversed(others):
            if not self._put_back(host, answer):
                self._left.popped.insert(0, (host, answer))
        return message

    def _learn_time_to_live(self, host: StoreHost) -> None:
        """Have the store's time known, by which messages expire: the pops themselves do not ask for it."""
        if not host.asides.knows_time:
            with contextlib.suppress(ChannelLayerUnavailable):
                host.connections.learn_time()

    def _put_back(self, host: StoreHost, answer: Any) -> bool:
        """Undo a pop; return False if the host cannot be reached."""
        queue = self._store.queue_in(answer)
        try:
            host.connections.run(scripts.PUT_BACK, *self._store.head, queue, *answer[1])
        except ChannelLayerUnavailable as error:
            host.failed(error, "pops")
            if error.uncertain:
                # Were it put back once more, it might come twice.
                self._store.statistics.count_gone(queue, "uncertain")
            return error.uncertain
        return True

    def give_back(self) -> None:
        """Put back what this thread has popped and nobody was given."""
        self.first_of(late_answers(self._spread.hosts, ANSWER_TIMEOUT), ())
        for _, answer in self._left.popped:
            self._store.statistics.count_gone(self._store.queue_in(answer), "could not be put back")

    # All of them

    def group_channels(self, group: str) -> list[str]:
        return [channel for host in self.hosts for channel in host.group_channels(group)]

    def channel_figures(self, queue: str) -> list[Figures]:
        return [part for host in self.hosts for part in host.channel_figures(queue)]

    def all_figures(self) -> list[Figures]:
        return [part for host in self.hosts for part in host.all_figures()]

    def save_counts(self) -> None:
        self._anywhere().save_counts()

    def flush(self) -> None:
        for host in self.hosts:
            host.flush()

    def _tend(self) -> None:
        self.save_counts()
        for host in self.hosts:
            if not host.host.rests:
                host.tend()

    def _anywhere(self) -> HostForThreads:
        return self.hosts[self._spread.anywhere()]


def _are_finishes(sends: Sequence[Send]) -> bool:
    return all(send.content is None for send in sends)


def _has_finish(sends: Sequence[Send]) -> bool:
    return any(send.finish is not None for send in sends)
