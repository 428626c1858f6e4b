"""The interface server's side of the Redis layer: everything on an event loop, much of it in one write."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from ...exceptions import ChannelLayerUnavailable
from ...values.turn import Turn
from ..base import Entry, Lease, Send
from . import scripts
from .hosts import StoreHost
from .links import StoreIsFull
from .loop_link import LoopLink
from .loops import LoopConnections
from .send_script import SEND
from .store import BLOCK, SWEEP_BATCH, WILLS_BATCH, Outcome, RedisStore, log_collected

# As much an interface server takes from its process queue at once.
QUEUE_BATCH = 100


class LoopSide(RedisStore):
    """What an interface server calls."""

    lease_interval: ClassVar[float | None] = 2.0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._loops: dict[asyncio.AbstractEventLoop, LoopConnections] = {}

    async def send_many_async(self, batch: Iterable[Send]) -> list[Send]:
        outcomes = [self._outcome_async(number, sends) for number, sends in self._by_host(batch).items()]
        # A task costs more than a send: a single one needs none.
        return self._left_after([await outcomes[0]] if len(outcomes) == 1 else await asyncio.gather(*outcomes))

    async def _outcome_async(self, number: int, sends: list[Send]) -> Outcome:
        host = self._hosts[number]
        try:
            return Outcome(host, sends, await self._loop().outgoing[number].send(sends))
        except StoreIsFull:
            return Outcome(host, sends, self._refuse(sends))
        except ChannelLayerUnavailable as error:
            self._did_not_answer = time.monotonic()
            return Outcome(host, sends, [], error)

    async def _send_now(self, link: LoopLink, sends: Sequence[Send]) -> list[Send]:
        if self._cipher is not None:
            await link.learn_time()
        return self._refused(sends, await link.run(SEND, *self._send_arguments(link.asides, sends)))

    async def _save_counts_async(self, link: LoopLink) -> None:
        counts = self.statistics.take()
        try:
            await link.run(scripts.SAVE_COUNTS, *self._count_arguments(counts))
        except ChannelLayerUnavailable as error:
            if not error.uncertain:
                self.statistics.give_back(counts)
            raise

    # The process queue

    async def read_queue(self, queue: str) -> list[Entry]:
        reads = self._loop().reads
        # A pop goes on when its reader is cancelled, and the next reader gets what it brings.
        if queue not in reads:
            reads[queue] = asyncio.get_running_loop().create_task(self._pop_entries(queue))
        try:
            entries = await asyncio.shield(reads[queue])
        except Exception:
            del reads[queue]
            # Who asked for its memberships meant the store of then, which may have lost them meanwhile.
            self._loop().to_restate.discard(queue)
            raise
        del reads[queue]
        return entries

    async def _pop_entries(self, queue: str) -> list[Entry]:
        number = self._ring.host_of(queue)
        link = self._loop().incoming(queue, number)
        pop = ("BLMPOP", BLOCK, 1, f"{self.prefix}queue:{queue}", "LEFT", "COUNT", QUEUE_BATCH)
        entries: list[Entry] = []
        while not entries:
            if queue in self._loop().to_restate:
                entries = await self._restated(link, queue)
                continue
            await self._loop().pace.keep()
            answer = (await link.exchange([pop]))[0]
            # Its reader hears nothing before there is something to read.
            self.outage.is_over("reads")
            if answer is None:
                continue
            # They may be large, and what is sealed takes its time to open.
            turn = Turn(asyncio.get_running_loop().time)
            for _, entry in self._living(self._hosts[number], queue, answer[1]):
                entries.append(entry)
                if turn.is_over:
                    await turn.give_way()
        self.statistics.count_received(queue, sum(entry.content is not None for entry in entries))
        return entries

    # Groups

    async def leave_groups(self, queue: str, memberships: Iterable[tuple[str, str]]) -> None:
        pairs = [part for membership in memberships for part in membership]
        await self._link(queue).run(scripts.GROUP_DISCARD, self.prefix, self._group_expiry, "", queue, *pairs)

    async def renew_groups(self, queue: str, memberships: Iterable[tuple[str, str]]) -> None:
        pairs = [part for membership in memberships for part in membership]
        await self._link(queue).run(scripts.GROUP_RENEW, self.prefix, self._group_expiry, queue, *pairs)

    async def restate_memberships(self, queue: str) -> None:
        self._loop().to_restate.add(queue)

    async def _restated(self, link: LoopLink, queue: str) -> list[Entry]:
        # Over the connection that pops: whatever is popped later is newer.
        self._loop().to_restate.discard(queue)
        found = await link.run(scripts.MEMBERSHIPS, self.prefix, queue)
        if found is None:
            return []
        host, entries = self._hosts[self._ring.host_of(queue)], [Entry()]
        turn = Turn(asyncio.get_running_loop().time)
        for membership in zip(found[::3], found[1::3], found[2::3], strict=True):
            entries.append(self._restated_one(host, queue, *membership))
            if turn.is_over:
                await turn.give_way()
        return entries

    # The lease

    async def renew_lease(self, queue: str) -> Lease:
        link = self._loop().leases[self._ring.host_of(queue)]
        known = await link.run(scripts.RENEW_LEASE, self.prefix, queue, self._lease)
        if known == -1:
            self._loop().forget(queue)
        return {1: Lease.KEPT, 0: Lease.NEW, -1: Lease.LOST}[known]

    async def tend(self) -> None:
        links, anywhere = self._loop().leases, self._anywhere()
        # Each by itself: one that does not answer must not keep the others waiting.
        await asyncio.gather(
            *(self._tend_one(host, links[number], number == anywhere) for number, host in enumerate(self._hosts))
        )

    async def _tend_one(self, host: StoreHost, link: LoopLink, saves_ours: bool) -> None:
        try:
            if saves_ours:
                await self._save_counts_async(link)
                if unreadable := self._unreadable_commands():
                    await link.exchange(unreadable)
            await self._tend_over(link)
        except ChannelLayerUnavailable as error:
            if len(self._hosts) == 1:
                raise
            host.failed(error, "tending")
        else:
            if len(self._hosts) > 1:
                host.works("tending")

    async def _tend_over(self, link: LoopLink) -> None:
        await link.run(scripts.SWEEP, *self._look_head, SWEEP_BATCH)
        while collected := await link.run(scripts.COLLECT, *self._look_head, WILLS_BATCH, *self._look_limits):
            log_collected(*collected)

    async def end_lease(self, queue: str) -> None:
        link = self._link(queue)
        await self._save_counts_async(link)
        await link.run(scripts.END_LEASE, self.prefix, queue, self._counts_life)

    async def set_wills(self, queue: str, wills: Iterable[tuple[str, Send | None]]) -> None:
        pairs = [part for local, will in wills for part in (local, self._packed_will(will))]
        await self._link(queue).run(scripts.SET_WILLS, self.prefix, queue, *pairs)

    def _link(self, queue: str) -> LoopLink:
        return self._loop().outgoing[self._ring.host_of(queue)].link

    def _loop(self) -> LoopConnections:
        loop = asyncio.get_running_loop()
        if loop not in self._loops:
            # Loops that have ended keep their connections, and nobody asks for them again.
            for ended in [known for known in list(self._loops) if known.is_closed()]:
                self._loops.pop(ended, None)
            self._loops[loop] = LoopConnections(self._hosts, self._send_now)
        return self._loops[loop]
