"""What event loops do with a store: interface servers, above all. What is asked for meanwhile leaves in one write."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Sequence

from ...exceptions import ChannelLayerUnavailable
from ...values.turn import Turn
from ..base import Entry, Lease, Send, UnderWay
from ..joined_sends import JoinedSends, Pace
from ..under_way import unpack_messages
from . import scripts
from .connections import StoreIsFull
from .hosts import StoreHost
from .loop_connection import LoopConnection
from .scripts import SEND
from .store import BLOCK, SWEEP_BATCH, WILLS_BATCH, Store, log_collected

# As much an interface server takes from its process queue at once.
QUEUE_BATCH = 100
# By so many milliseconds a message that waits may seem younger to its store than to its sender: a store counts in whole
# ones, by a clock that is set now and then.
CLOCK_LEEWAY = 1000

# The ages of the oldest messages of some channels, and the messages of lanes that workers have.
Looked = tuple[Sequence[int], set[tuple[str, int | None]]]


class HostForLoops:
    """One host of a store, as event loops use it: each has connections of its own."""

    def __init__(self, store: Store, host: StoreHost) -> None:
        self._store = store
        self.host = host
        self.known: dict[asyncio.AbstractEventLoop, HostForLoop] = {}

    def of(self, queue: str) -> HostForLoops:
        """Return the host of a process queue."""
        return self

    def send_many(self, batch: Iterable[Send]) -> asyncio.Future[list[Send]]:
        return self._here().sends.send(list(batch))

    def read_queue(self, queue: str) -> Coroutine[None, None, list[Entry]]:
        return self._here().read_queue(queue)

    async def leave_groups(self, queue: str, memberships: Iterable[tuple[str, str]]) -> None:
        pairs = [part for membership in memberships for part in membership]
        await self._here().sending.run(scripts.GROUP_DISCARD, *self._store.head, "", queue, *pairs)

    async def renew_groups(self, queue: str, memberships: Iterable[tuple[str, str]]) -> None:
        pairs = [part for membership in memberships for part in membership]
        await self._here().sending.run(scripts.GROUP_RENEW, *self._store.head, queue, *pairs)

    async def restate_memberships(self, queue: str) -> None:
        self._here().to_restate.add(queue)

    async def renew_lease(self, queue: str) -> Lease:
        here = self._here()
        known = await here.living.run(scripts.RENEW_LEASE, *self._store.head, queue, self._store.lease)
        if known == -1:
            here.forget(queue)
        return {1: Lease.KEPT, 0: Lease.NEW, -1: Lease.LOST}[known]

    async def find_lost(self, under_way: Sequence[UnderWay]) -> list[UnderWay]:
        channels = list({message.channel for message in under_way})
        return lost_of(under_way, channels, [await self.look_for(channels)])

    async def look_for(self, channels: Sequence[str]) -> Looked:
        """Return how old the oldest message in each channel is, in milliseconds or -1, and what living workers have."""
        ages, packed = await self._here().living.run(scripts.UNDER_WAY, *self._store.head, *channels)
        return ages, {(m.reply_channel, m.number) for each in packed for m in unpack_messages(each)}

    async def tend(self) -> None:
        await self.save()
        await self.look_after()

    async def save(self) -> None:
        """Save what has been counted, and what could not be read."""
        connection = self._here().living
        await self._save_counts(connection)
        if unreadable := self._store.unreadable_commands():
            await connection.exchange(unreadable)

    async def look_after(self) -> None:
        """Drop what nobody reads, and carry out the last wills of dead interface processes."""
        run = self._here().living.run
        await run(scripts.SWEEP, *self._store.head, SWEEP_BATCH)
        while collected := await run(scripts.COLLECT, *self._store.look, WILLS_BATCH):
            log_collected(*collected)

    async def end_lease(self, queue: str) -> None:
        connection = self._here().sending
        await self._save_counts(connection)
        await connection.run(scripts.END_LEASE, *self._store.head, queue)

    async def set_wills(self, queue: str, wills: Iterable[tuple[str, Send | None]]) -> None:
        pairs = [part for local, will in wills for part in (local, self._store.packed_will(will))]
        await self._here().sending.run(scripts.SET_WILLS, *self._store.head, queue, *pairs)

    async def _save_counts(self, connection: LoopConnection) -> None:
        counts = self._store.statistics.take()
        try:
            await connection.run(scripts.SAVE_COUNTS, *self._store.count_arguments(counts))
        except ChannelLayerUnavailable as error:
            self._store.keep_counts(counts, error)
            raise

    def _here(self) -> HostForLoop:
        loop = asyncio.get_running_loop()
        here = self.known.get(loop)
        if here is None:
            # Loops that have ended keep their connections, and nobody asks for them again.
            for ended in [known for known in list(self.known) if known.is_closed()]:
                self.known.pop(ended, None)
            here = self.known[loop] = HostForLoop(self._store, self.host, loop)
        return here


def lost_of(under_way: Sequence[UnderWay], channels: Sequence[str], looked: Sequence[Looked]) -> list[UnderWay]:
    """Return the messages that no host has, by what has been found on each of them."""
    ages = dict(zip(channels, map(max, zip(*(ages for ages, _ in looked), strict=True)), strict=True))
    with_workers = {key for _, keys in looked for key in keys}
    return [
        message
        for message in under_way
        if not _may_wait(message, ages[message.channel]) and (message.reply_channel, message.number) not in with_workers
    ]


def _may_wait(message: UnderWay, oldest: int) -> bool:
    """Say so of a message that has not been under way for longer than the oldest one that waits in its channel."""
    return oldest >= 0 and message.seconds * 1000 <= oldest + CLOCK_LEEWAY


class HostForLoop:
    """The connections of one event loop to a host, and what is under way over them."""

    def __init__(self, store: Store, host: StoreHost, loop: asyncio.AbstractEventLoop) -> None:
        self._store = store
        self._host = host
        self._loop = loop
        self.sending = self._connection()
        # What says that this process is alive must not wait behind its sends.
        self.living = self._connection()
        self.sends = JoinedSends(self._send)
        # The process queues whose memberships are to be told again.
        self.to_restate: set[str] = set()
        self._pace = Pace()
        # Of each process queue, the connection that pops from it.
        self._reading: dict[str, LoopConnection] = {}
        self._reads: dict[str, asyncio.Task[list[Entry]]] = {}

    def _connection(self) -> LoopConnection:
        return LoopConnection(self._host.make_loop_connection, self._host.asides)

    async def _send(self, sends: Sequence[Send]) -> list[Send]:
        store = self._store
        try:
            if store.cipher is not None:
                await self.sending.learn_time()
            missed = await self.sending.run(SEND, *store.send_arguments(self._host, sends))
        except StoreIsFull:
            return store.refused_for_memory(sends)
        except ChannelLayerUnavailable:
            store.does_not_answer()
            raise
        return store.refused(sends, missed)

    async def read_queue(self, queue: str) -> list[Entry]:
        """Wait for entries of a process queue, and take many of them."""
        read = self._reads.get(queue)
        # A pop goes on when its reader is cancelled, and the next reader gets what it brings.
        if read is None:
            read = self._reads[queue] = self._loop.create_task(self._pop(queue))
        try:
            entries = await asyncio.shield(read)
        except Exception:
            del self._reads[queue]
            # Who asked for its memberships meant the store of then, which may have lost them meanwhile.
            self.to_restate.discard(queue)
            raise
        del self._reads[queue]
        return entries

    async def _pop(self, queue: str) -> list[Entry]:
        if queue not in self._reading:
            self._reading[queue] = self._connection()
        connection = self._reading[queue]
        pop = ("BLMPOP", BLOCK, 1, f"{self._store.prefix}queue:{queue}", "LEFT", "COUNT", QUEUE_BATCH)
        entries: list[Entry] = []
        while not entries:
            if queue in self.to_restate:
                entries = await self._told_anew(connection, queue)
                continue
            await self._pace.keep()
            answer = (await connection.exchange([pop]))[0]
            # Its reader hears nothing before there is something to read.
            self._store.outage.is_over("reads")
            if answer is None:
                continue
            # They may be large, and what is sealed takes its time to open.
            turn = Turn(self._loop.time)
            for entry in self._store.entries_in(self._host, queue, answer[1]):
                entries.append(entry)
                if turn.is_over:
                    await turn.give_way()
        self._store.statistics.count_received(queue, sum(entry.is_message for entry in entries))
        return entries

    async def _told_anew(self, connection: LoopConnection, queue: str) -> list[Entry]:
        # Over the connection that pops: whatever is popped later is newer.
        self.to_restate.discard(queue)
        found = await connection.run(scripts.MEMBERSHIPS, *self._store.head, queue)
        if found is None:
            return []
        entries = [Entry()]
        turn = Turn(self._loop.time)
        for membership in zip(found[::3], found[1::3], found[2::3], strict=True):
            entries.append(self._store.told_anew(self._host, queue, *membership))
            if turn.is_over:
                await turn.give_way()
        return entries

    def forget(self, queue: str) -> None:
        """Read a queue no longer."""
        if queue in self._reads:
            self._reads.pop(queue).cancel()
        if queue in self._reading:
            self._reading.pop(queue).close()
