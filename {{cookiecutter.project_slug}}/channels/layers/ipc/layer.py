"""
The IPC layer: several processes on one machine, and no server.

What it carries lies in a map that all processes share (LMDB), and a reader that waits is woken by a datagram. A process
that is killed at whatever moment leaves the map whole, and nobody waiting.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from ...exceptions import ChannelLayerUnavailable, InvalidChannelLayerError
from ...values.names import local_part, queue_of, require_channel_name, require_group_name
from ..base import BaseChannelLayer, Content, Delivery, Entry, Lease, Send, UnderWay
from ..envelope import pack_message, packed_send
from ..joined_sends import JoinedSends
from ..under_way import log_dead_worker
from . import counts, groups, processes, queues
from .folder import default_path, prepare_folder
from .leases import LEASE
from .losses import Losses
from .readers import LOOK_AGAIN, QueueReader, ThreadReader
from .store import MapIsFull, store_of
from .sweep import Sweep
from .visit import Visit, parts_of

logger = logging.getLogger(__name__)

# The size of the map, in bytes: that of the shared memory that containers get.
SIZE = 48 * 2**20
_LEAST_SIZE = 2**20
# As many last wills are carried out in one step, and as many queues counted or keys removed.
_WILLS_BATCH = 100
_PAGE = 200
# By so many seconds a message that waits may seem younger to the map than to its sender.
_LEEWAY = 1.0


class IPCChannelLayer(BaseChannelLayer):
    """
    A channel layer for the processes of one user on one machine.

    ``path`` is a folder, in which the layer makes one of its own, named ``prefix``: two sites need different ones.
    Without it, a folder among the temporary files. ``size`` is that of the map which holds all messages, memberships
    and last wills, in bytes; the space is reserved. The other arguments are those of every layer.
    """

    lease_interval: ClassVar[float | None] = 2.0

    def __init__(
        self, path: str | os.PathLike[str] | None = None, prefix: str = "channels", size: int = SIZE, **options: Any
    ) -> None:
        super().__init__(**options)
        if isinstance(size, bool) or not isinstance(size, int) or size < max(_LEAST_SIZE, 4 * self.max_message_size):
            raise InvalidChannelLayerError(
                f"The size of the IPC channel layer is {size!r}; expected a number of bytes, at least 1 MiB and four "
                f"times the max_message_size ({self.max_message_size}). Change it in CHANNEL_LAYER_URL (ipc:///path?size=…)."
            )
        if not prefix or prefix in (".", "..") or "/" in prefix or "\0" in prefix:
            raise InvalidChannelLayerError(
                f"The prefix of the IPC channel layer is {prefix!r}; expected the name of a folder. Change it in "
                "CHANNEL_LAYER_URL (ipc:///path?prefix=…)."
            )
        # Whole pages, whatever their size is.
        size -= size % 65_536
        self.store = store_of(prepare_folder(Path(path or default_path()).absolute() / prefix, size), size)
        self.statistics: Losses = Losses(self.store, self)
        self._reader = ThreadReader(self.store, self, self._tend_when_due)
        # What event loops have sent in the same moment leaves in one visit.
        self._joined: dict[asyncio.AbstractEventLoop, JoinedSends] = {}
        self._readers: dict[tuple[asyncio.AbstractEventLoop, str], QueueReader] = {}
        self._sweep = Sweep()
        self._next_look = time.monotonic() + LOOK_AGAIN

    def encode(self, name: str, message: Content, to_group: bool) -> bytes:
        """Return the entry of a message."""
        return pack_message(name, message, to_group, self.max_message_size)

    def describe_full(self, channel: str) -> str:
        """Say why a message was refused: because of the map, if that was full lately."""
        return self.store.describe_trouble() or super().describe_full(channel)

    # Sending

    def send_many(self, batch: Iterable[Send]) -> list[Send]:
        packed = self._packed(batch)
        try:
            return self.store.visit(self, lambda visit: self._send(visit, packed))
        except MapIsFull:
            return self._refused_for_room([send for send, _ in packed])

    def _packed(self, batch: Iterable[Send]) -> list[tuple[Send, bytes]]:
        """Pack sends before the visit: the shorter that is, the less others wait."""
        return [(send, packed_send(send, self.max_message_size)) for send in batch]

    def _send(self, visit: Visit, batch: Sequence[tuple[Send, bytes]]) -> list[Send]:
        refused: list[Send] = []
        full: set[str] = set()
        for send, packed in batch:
            if send.to_group:
                groups.broadcast(visit, send.name, packed)
                continue
            queue = queue_of(send.name)
            if queue in full or not queues.push_message(visit, queue, packed):
                full.add(queue)
                refused.append(send)
            elif send.reply_channel:
                wills = [(local_part(send.reply_channel), send.will)]
                processes.set_wills(visit, queue_of(send.reply_channel), wills)
        return refused

    def _refused_for_room(self, sends: Sequence[Send]) -> list[Send]:
        """Treat all channels as full, since the map has no room left."""

        def step(visit: Visit) -> None:
            for send in sends:
                if send.to_group:
                    counts.count_dropped(visit, send.name, "full, group message", accepted=False)
                else:
                    counts.count(visit, queue_of(send.name), full=1)

        self.store.visit(self, step)
        return [send for send in sends if not send.to_group]

    # Receiving

    def take(self, channels: Sequence[str], timeout: float | None = 0.0) -> Delivery | None:
        return self._reader.take(channels, timeout, lambda visit: True, finishes=False)

    def send_and_take(
        self, batch: Sequence[Send], channels: Sequence[str], timeout: float, finished: str = ""
    ) -> tuple[list[Send], Delivery | None]:
        refused: list[Send] = []
        packed = self._packed(batch)

        def before(visit: Visit) -> bool:
            if finished:
                counts.count(visit, finished, done=1)
            refused[:] = self._send(visit, packed)
            return not refused

        try:
            return refused, self._reader.take(channels, timeout, before, finishes=True)
        except MapIsFull:
            if not batch:
                raise
            refused = self._refused_for_room(batch)
            return refused, self.send_and_take([], channels, 0.0, finished)[1]

    def interrupt(self) -> None:
        self._reader.interrupt()

    # Groups

    def group_add(self, group: str, channel: str) -> None:
        require_group_name(group), require_channel_name(channel)
        self.store.visit(self, lambda visit: groups.add(visit, group, channel))

    def group_discard(self, group: str, channel: str) -> None:
        require_group_name(group), require_channel_name(channel)
        self.store.visit(self, lambda visit: groups.discard(visit, group, channel))

    def group_channels(self, group: str) -> list[str]:
        require_group_name(group)
        return self.store.visit(self, lambda visit: groups.channels(visit, group))

    # Looking after it

    def flush(self) -> None:
        # In several steps: even to remove something takes room.
        while self.store.visit(self, lambda visit: visit.remove_some(_PAGE)):
            continue

    def channel_statistics(self, channel: str) -> dict[str, Any]:
        queue = queue_of(require_channel_name(channel))

        def step(visit: Visit) -> dict[str, Any]:
            waiting, age = queues.waiting_in(visit, queue)
            return counts.statistics(visit, waiting, waiting, age)

        return self.store.visit(self, step)

    def global_statistics(self) -> dict[str, Any]:
        waiting: Counter[str] = Counter()
        oldest, after = 0.0, b""

        def count_some(visit: Visit) -> bytes:
            nonlocal oldest
            found = visit.keys(b"Q", after, _PAGE)
            for where in found:
                some, age = queues.waiting_in(visit, parts_of(where)[0])
                waiting.update(some)
                oldest = max(oldest, age)
            return found[-1] if found else b""

        while after := self.store.visit(self, count_some):
            continue
        return self.store.visit(self, lambda visit: counts.statistics(visit, counts.names(visit), waiting, oldest))

    # What an interface server needs

    async def send_many_async(self, batch: Iterable[Send]) -> list[Send]:
        loop = asyncio.get_running_loop()
        joined = self._joined.get(loop)
        if joined is None:
            for ended in [known for known in list(self._joined) if known.is_closed()]:
                self._joined.pop(ended, None)
            joined = self._joined[loop] = JoinedSends(self._send_joined)
        return await joined.send(list(batch))

    async def _send_joined(self, batch: Sequence[Send]) -> list[Send]:
        return self.send_many(batch)

    async def read_queue(self, queue: str) -> list[Entry]:
        return await self._reader_of(queue).read()

    async def leave_groups(self, queue: str, memberships: Iterable[tuple[str, str]]) -> None:
        self.store.visit(self, lambda visit: groups.leave(visit, queue, memberships))

    async def renew_groups(self, queue: str, memberships: Iterable[tuple[str, str]]) -> None:
        self.store.visit(self, lambda visit: groups.renew(visit, queue, memberships))

    async def restate_memberships(self, queue: str) -> None:
        self._reader_of(queue).restate()

    async def renew_lease(self, queue: str) -> Lease:
        lease = self.store.visit(self, lambda visit: processes.renew_lease(visit, queue))
        if lease is Lease.LOST and (reader := self._readers.pop((asyncio.get_running_loop(), queue), None)):
            reader.close()
        return lease

    async def tend(self) -> None:
        self.statistics.save()
        while self._look_after():
            await asyncio.sleep(0)

    async def end_lease(self, queue: str) -> None:
        self.store.visit(self, lambda visit: processes.end_lease(visit, queue))

    async def set_wills(self, queue: str, wills: Iterable[tuple[str, Send | None]]) -> None:
        self.store.visit(self, lambda visit: processes.set_wills(visit, queue, wills))

    async def find_lost(self, under_way: Sequence[UnderWay]) -> list[UnderWay]:
        def step(visit: Visit) -> list[UnderWay]:
            oldest = {name: queues.age(visit, name) for name in {message.channel for message in under_way}}
            had = processes.with_workers(visit)
            return [
                message
                for message in under_way
                if not _may_wait(message, oldest[message.channel])
                and (message.reply_channel, message.number) not in had
            ]

        return self.store.visit(self, step)

    def _reader_of(self, queue: str) -> QueueReader:
        loop = asyncio.get_running_loop()
        reader = self._readers.get((loop, queue))
        if reader is None:
            # Loops that have ended keep their readers, and nobody asks for them again.
            for ended in [where for where in list(self._readers) if where[0].is_closed()]:
                self._readers.pop(ended, None)
            reader = self._readers[loop, queue] = QueueReader(self.store, self, queue, loop)
        return reader

    # What processes do for all others

    def renew_worker(self, worker: str, has: Sequence[UnderWay]) -> None:
        self.store.visit(self, lambda visit: processes.renew_worker(visit, worker, has))
        while dead := self.store.visit(self, processes.take_dead_worker):
            log_dead_worker(*dead, LEASE)

    def end_worker(self, worker: str) -> None:
        self.store.visit(self, lambda visit: processes.end_worker(visit, worker))

    def _tend_when_due(self) -> None:
        """Every few seconds, look after the map. That this fails is no reason for anything else to fail."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + LOOK_AGAIN
        self.statistics.save()
        try:
            while self._look_after():
                continue
            self.outage.is_over("tending")
        except ChannelLayerUnavailable as error:
            self.outage.goes_on(error, "tending")

    def _look_after(self) -> bool:
        """Drop what nobody reads, and carry out the last wills of dead processes; return whether there is more."""
        self.store.look_after()
        found_much = self.store.visit(self, self._sweep.go_on)
        dead = self.store.visit(self, lambda visit: processes.carry_out_wills(visit, _WILLS_BATCH))
        if dead is not None:
            logger.warning("Interface process %s has died; consumers hear of the end of %d connections", *dead)
        return found_much or dead is not None


def _may_wait(message: UnderWay, oldest: float | None) -> bool:
    """Say so of a message that has not been under way for longer than the oldest one that waits in its channel."""
    return oldest is not None and message.seconds <= oldest + _LEEWAY
