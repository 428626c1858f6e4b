"""
A channel layer with bad luck: it loses what the contract of a layer allows to be lost, and nothing else.

Messages are delivered at most once, so any of them may be missing: its reader was killed with it in hand, it expired,
or a store has lost its data. A channel may be full whenever somebody sends to it, since others send too. What is
delivered comes once and in its order, and memberships hold.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..layers.base import Delivery, Entry, Send
from ..layers.inmemory import InMemoryChannelLayer


@dataclass(frozen=True)
class Losses:
    """
    How often what goes wrong: chances from 0 to 1.

    ``killed``: a worker dies, at each point where it may be interrupted. ``lost``: a message or a reply is not there
    any more when it is read. ``full``: a channel takes no message. ``late``: time passes, up to ``latest`` seconds,
    although there is something to do, at each step; so messages expire, and sockets lose their patience.
    """

    killed: float = 0.02
    lost: float = 0.02
    full: float = 0.02
    late: float = 0.02
    latest: float = 70.0


NO_LOSSES = Losses(0, 0, 0, 0)


class LossyLayer(InMemoryChannelLayer):
    """
    The in-memory layer with ``losses`` that ``chance`` decides on.

    ``before_visit`` is called with a word for what is done before each visit to it that sends, joins or leaves.
    """

    def __init__(self, losses: Losses = NO_LOSSES, chance: random.Random | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.losses = losses
        self.before_visit: Callable[[str], None] = _go_on
        self._is_cut_off = False
        self._chance = chance or random.Random()

    def happens(self, probability: float) -> bool:
        """Say whether something happens this time that does so with some probability."""
        # Without a risk nothing is drawn, so that what else is drawn stays the same.
        return probability > 0 and self._chance.random() < probability

    def waiting(self, channels: Iterable[str]) -> list[str]:
        """Return those of some channels in which messages wait, sorted."""
        with self._lock:
            return sorted(channel for channel in channels if self._living_queue(channel))

    def forget(self, delivery: Delivery) -> None:
        """Have the reader of a message dead: it is with nobody any more."""
        if delivery.ticket is not None:
            with self._lock:
                self._taken.discard((delivery.content["reply_channel"], delivery.ticket.number))

    @contextlib.contextmanager
    def cut_off(self) -> Iterator[None]:
        """Let arrive of what is sent meanwhile only a part from the beginning on, and say nothing of the rest."""
        self._is_cut_off = True
        try:
            yield
        finally:
            self._is_cut_off = False

    def send_many(self, batch: Iterable[Send]) -> list[Send]:
        sends = list(batch)
        if sends:
            self.before_visit(f"sends to {', '.join(dict.fromkeys(send.name for send in sends))}")
        if self._is_cut_off:
            sends = sends[: self._chance.randint(0, len(sends))]
        return super().send_many(sends)

    def group_add(self, group: str, channel: str) -> None:
        self.before_visit(f"joins {group}")
        super().group_add(group, channel)

    def group_discard(self, group: str, channel: str) -> None:
        self.before_visit(f"leaves {group}")
        super().group_discard(group, channel)

    def take(self, channels: Sequence[str], timeout: float | None = 0.0) -> Delivery | None:
        delivery = super().take(channels, timeout)
        if delivery is not None and self.happens(self.losses.lost):
            self.forget(delivery)
            self.statistics.count_dropped(delivery.channel, "lost by chance")
            return None
        return delivery

    def _push(self, channel: str, entry: Entry) -> bool:
        if entry.is_message and self.happens(self.losses.full):
            self.statistics.count_full(channel)
            return False
        return super()._push(channel, entry)

    def _take_entries(self, name: str) -> list[Entry]:
        return [
            entry for entry in super()._take_entries(name) if not entry.is_message or not self.happens(self.losses.lost)
        ]


def _go_on(what: str) -> None:
    """Nothing is to be done before a visit."""
