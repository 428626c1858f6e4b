"""Which host has what, and what to make of it when some of them fail."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ....exceptions import ChannelLayerUnavailable
from ....values.names import queue_of
from ...base import Send
from ..hosts import StoreHost
from ..store import Store
from .hashing import Ring


class Outcome(NamedTuple):
    """What has become of the sends to one host: some were refused, or there was an error."""

    host: StoreHost
    sends: list[Send]
    refused: list[Send]
    error: ChannelLayerUnavailable | None = None


class Spread:
    """How a store is spread over its hosts."""

    def __init__(self, store: Store, hosts: Sequence[StoreHost]) -> None:
        self.store = store
        self.hosts = hosts
        self.ring = Ring(len(hosts))

    def anywhere(self) -> int:
        """Return one of the hosts, for what may lie on any."""
        numbers = range(len(self.hosts))
        return random.choice([number for number in numbers if not self.hosts[number].rests] or numbers)

    def host_of(self, channel: str) -> int | None:
        """Return the host of a channel with a single reader; None for others, which are on all hosts."""
        return self.ring.host_of(queue_of(channel)) if "!" in channel or "?" in channel else None

    def by_host(self, batch: Iterable[Send]) -> dict[int, list[Send]]:
        """Return what is to be sent to which host."""
        by_host: dict[int, list[Send]] = {}
        anywhere = self.anywhere()
        for send in batch:
            # A connection's last will lies with its process queue, and is changed in one step with the send.
            one = self.host_of(send.reply_channel or send.name)
            for number in range(len(self.hosts)) if send.to_group else [anywhere if one is None else one]:
                by_host.setdefault(number, []).append(send)
        return by_host

    def left_after(self, outcomes: Sequence[Outcome]) -> list[Send]:
        """Return what was refused or may be sent again, as some hosts have failed; raise when all have, alike."""
        for outcome in outcomes:
            if outcome.error:
                outcome.host.failed(outcome.error, "sends")
            else:
                outcome.host.works("sends")
        errors = [outcome.error for outcome in outcomes if outcome.error]
        if errors and len(errors) == len(outcomes) and len({error.uncertain for error in errors}) == 1:
            raise errors[0]
        # Were it raised, what other hosts have taken would be sent again.
        left = [send for outcome in outcomes for send in outcome.refused]
        for outcome in outcomes:
            if outcome.error:
                left += self._left_elsewhere(outcome.sends, outcome.error)
        return left

    def _left_elsewhere(self, sends: Sequence[Send], error: ChannelLayerUnavailable) -> list[Send]:
        """Return what may be sent again: nothing that goes to groups, for other hosts have it."""
        left = self.store.left_of(sends, error)
        for send in left:
            if send.to_group:
                self.store.statistics.count_dropped(send.name, "a host is not available")
        return [send for send in left if not send.to_group]
