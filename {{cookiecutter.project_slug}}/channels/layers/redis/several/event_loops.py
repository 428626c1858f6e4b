"""What event loops do with several hosts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from ....exceptions import ChannelLayerUnavailable
from ...base import Send, UnderWay
from ..event_loops import HostForLoops, Looked, lost_of
from .spread import Outcome, Spread


class HostsForLoops:
    """Several hosts, as event loops use them; what is not here is done with one of them."""

    def __init__(self, spread: Spread) -> None:
        self._spread = spread
        self._hosts = [HostForLoops(spread.store, host) for host in spread.hosts]

    def of(self, queue: str) -> HostForLoops:
        """Return the host of a process queue."""
        return self._hosts[self._spread.ring.host_of(queue)]

    async def send_many(self, batch: Iterable[Send]) -> list[Send]:
        outcomes = [self._outcome(self._hosts[number], sends) for number, sends in self._spread.by_host(batch).items()]
        # A task costs more than a send: a single one needs none.
        done = [await outcomes[0]] if len(outcomes) == 1 else await asyncio.gather(*outcomes)
        return self._spread.left_after(done)

    async def _outcome(self, host: HostForLoops, sends: list[Send]) -> Outcome:
        try:
            return Outcome(host.host, sends, await host.send_many(sends))
        except ChannelLayerUnavailable as error:
            return Outcome(host.host, sends, [], error)

    async def find_lost(self, under_way: Sequence[UnderWay]) -> list[UnderWay]:
        channels = list({message.channel for message in under_way})
        looked = await asyncio.gather(*(self._look_for(host, channels) for host in self._hosts))
        return lost_of(under_way, channels, looked)

    async def _look_for(self, host: HostForLoops, channels: Sequence[str]) -> Looked:
        try:
            return await host.look_for(channels)
        except ChannelLayerUnavailable:
            # The first one alone knows what workers have.
            if host is self._hosts[0]:
                raise
            # Whatever another has may be there until it expires, but no longer.
            return [self._spread.store.expiry] * len(channels), set()

    async def tend(self) -> None:
        anywhere = self._hosts[self._spread.anywhere()]
        # Each by itself: one that does not answer must not keep the others waiting.
        await asyncio.gather(*(self._tend(host, host is anywhere) for host in self._hosts))

    async def _tend(self, host: HostForLoops, saves_ours: bool) -> None:
        try:
            if saves_ours:
                await host.save()
            await host.look_after()
        except ChannelLayerUnavailable as error:
            host.host.failed(error, "tending")
        else:
            host.host.works("tending")
