"""
The Redis layer.

A message is popped and fetched in one step, capacity is decided where the messages are, and the store's clock decides
what has expired. What several threads or connections send meanwhile leaves in one write.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from ...exceptions import ChannelLayerUnavailable, InvalidMessage
from ...names import local_part, queue_of, require_channel_name, require_group_name, require_readable_name
from ..base import BaseChannelLayer, Content, Entry, Lease, Send
from ..members import QueueReader
from . import scripts
from .envelope import NEVER, UnreadableEntry, pack, unpack
from .hashing import Ring
from .hosts import Host, RedisHost, StoreHost
from .links import LoopLink, StoreIsFull
from .loops import LoopConnections

logger = logging.getLogger(__name__)

# A blocking pop comes back after so long, in seconds, to see whether its reader has been interrupted.
BLOCK = 0.5
# What an answer may take beyond that.
ANSWER_TIMEOUT = 2.0
# An interface process that has not been heard of for so long, in seconds, is dead.
LEASE = 8.0
# Every reader looks for dead ones so often, in seconds.
COLLECT_INTERVAL = 3.0
# As many last wills are carried out in one step.
WILLS_BATCH = 200
# As much an interface server takes from its process queue at once.
QUEUE_BATCH = 100
# For so long, in seconds, want of memory explains why a channel is full.
MEMORY_HINT = 10.0
_MEMORY_ADVICE = "Start more workers to empty its channels, or raise its maxmemory."


class RedisChannelLayer(BaseChannelLayer):
    """
    A channel layer over one or several Redis or Valkey servers.

    ``hosts`` are URLs (``redis://``, ``rediss://``, ``unix://``), pairs of address and port, or dicts of arguments
    for a redis-py connection; ``connection_kwargs`` are such arguments for all of them. ``prefix`` stands in front of
    every key: two projects that share a server need different ones. The other arguments are those of every layer.
    """

    lease_interval: ClassVar[float | None] = 2.0

    def __init__(
        self,
        hosts: Sequence[Host] | None = None,
        prefix: str = "channels:",
        connection_kwargs: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.prefix = prefix
        arguments = {"socket_timeout": BLOCK + ANSWER_TIMEOUT, "protocol": 2, **(connection_kwargs or {})}
        self._hosts = self.make_hosts(hosts or [("localhost", 6379)], arguments)
        self._ring = Ring(len(self._hosts))
        self._readers: dict[str, QueueReader] = {}
        self._reading = threading.Lock()
        self._interruptions = 0
        self._memory_ran_out = -MEMORY_HINT
        self._next_collection = time.monotonic() + COLLECT_INTERVAL
        self._loops: dict[asyncio.AbstractEventLoop, LoopConnections] = {}
        # Where the channel has a capacity of its own, its sends say so; these are for what a group leads to.
        self._send_head = (
            prefix,
            int(self.expiry * 1000),
            int(self.group_expiry * 1000),
            self.capacity,
            self.get_capacity("reply.any!"),
        )

    def make_hosts(self, hosts: Sequence[Host], arguments: dict[str, Any]) -> list[StoreHost]:
        """Return what messages are spread over, given the arguments ``hosts`` and those of a connection."""
        return [RedisHost(host, arguments) for host in hosts]

    # Sending

    def encode(self, name: str, message: Content, to_group: bool) -> bytes:
        if not isinstance(message, dict):
            raise InvalidMessage(f"The content of a message is a dict, not {type(message).__name__}.")
        local, group = ("", name) if to_group else (local_part(name), "")
        return pack(local, group, message, False, self.max_message_size)

    def send_many(self, batch: Iterable[Send]) -> list[Send]:
        refused: list[Send] = []
        for number, sends in self._by_host(batch).items():
            try:
                results = self._hosts[number].threads.run(scripts.SEND, *self._send_arguments(sends))
                refused += self._account(sends, results)
            except StoreIsFull:
                refused += self._refuse(sends)
            except ChannelLayerUnavailable as error:
                refused += self._give_back(sends, error)
        return refused

    async def send_many_async(self, batch: Iterable[Send]) -> list[Send]:
        refused: list[Send] = []
        for number, sends in self._by_host(batch).items():
            try:
                refused += await self._loop().outgoing[number].send(sends)
            except StoreIsFull:
                refused += self._refuse(sends)
            except ChannelLayerUnavailable as error:
                refused += self._give_back(sends, error)
        return refused

    def _give_back(self, sends: Sequence[Send], error: ChannelLayerUnavailable) -> list[Send]:
        """Return what one of several hosts has not taken: were it raised, what the others took would be sent again."""
        if len(self._hosts) == 1:
            raise error
        logger.error("One of %d hosts of the channel layer failed: %s", len(self._hosts), error)
        lost = [send for send in sends if error.uncertain or send.to_group]
        for send in lost:
            self.statistics.count_dropped(send.name, "uncertain" if error.uncertain else "a host is not available")
        return [send for send in sends if send not in lost]

    def _refuse(self, sends: Sequence[Send]) -> list[Send]:
        """Treat all channels as full, since the store has no memory left."""
        self._memory_ran_out = time.monotonic()
        for send in sends:
            if send.to_group:
                self.statistics.count_dropped(send.name, "the store has no memory left", _MEMORY_ADVICE)
            else:
                self.statistics.count_full(send.name)
        return [send for send in sends if not send.to_group]

    def describe_full(self, channel: str) -> str:
        if time.monotonic() - self._memory_ran_out < MEMORY_HINT:
            return f"The store of the channel layer has no memory left. {_MEMORY_ADVICE}"
        return super().describe_full(channel)

    def _by_host(self, batch: Iterable[Send]) -> dict[int, list[Send]]:
        if len(self._hosts) == 1:
            return {0: list(batch)}
        by_host: dict[int, list[Send]] = {}
        anywhere = random.randrange(len(self._hosts))
        for send in batch:
            # A connection's last will lies with its process queue, and is changed in one step with the send.
            one = self._host_of(send.reply_channel or send.name, anywhere)
            for number in range(len(self._hosts)) if send.to_group else [one]:
                by_host.setdefault(number, []).append(send)
        return by_host

    def _host_of(self, channel: str, anywhere: int) -> int:
        """Return the host of a channel with a single reader; others may lie on any, for their readers read all."""
        return self._ring.host_of(queue_of(channel)) if "!" in channel or "?" in channel else anywhere

    def _send_arguments(self, sends: Sequence[Send]) -> list[Any]:
        arguments: list[Any] = list(self._send_head)
        for send in sends:
            kind, capacity = ("g", 0) if send.to_group else ("c", self.get_capacity(send.name))
            connection = (queue_of(send.reply_channel), local_part(send.reply_channel), _packed_will(send.will))
            arguments += (kind, queue_of(send.name), capacity, send.content, *connection)
        return arguments

    def _account(self, sends: Sequence[Send], results: Sequence[Any]) -> list[Send]:
        refused = []
        for send, (taken, missed) in zip(sends, results, strict=True):
            for queue in taken.decode().split():
                self.statistics.count_sent(queue)
            for queue in missed.decode().split():
                self.statistics.count_full(queue)
                if send.to_group:
                    self.statistics.count_dropped(queue, "full, group message", self.describe_full(queue))
            if missed and not send.to_group:
                refused.append(send)
        return refused

    # Receiving

    def receive(
        self, channels: Sequence[str], block: bool = False, timeout: float | None = None
    ) -> tuple[str, Content] | tuple[None, None]:
        names = [require_readable_name(channel) for channel in channels]
        deadline = None if timeout is None else time.monotonic() + timeout
        interruptions = self._interruptions
        while True:
            self._collect()
            message = self._expanded(names) or self._pop_any(names, 0.0)
            if message or not block:
                return message or (None, None)
            left = BLOCK if deadline is None else min(BLOCK, deadline - time.monotonic())
            if left <= 0 or interruptions != self._interruptions:
                return None, None
            message = self._pop_any(names, left)
            if message:
                return message

    def interrupt(self) -> None:
        self._interruptions += 1

    def _collect(self) -> None:
        """Carry out the last wills of dead interface processes, every few seconds."""
        now = time.monotonic()
        if now < self._next_collection:
            return
        self._next_collection = now + COLLECT_INTERVAL
        for host in self._hosts:
            while collected := host.threads.run(scripts.COLLECT, self.prefix, self._send_head[1], WILLS_BATCH):
                _log_collected(*collected)

    def _pop_any(self, names: Sequence[str], wait: float) -> tuple[str, Content] | None:
        # A random order, so that a busy channel cannot starve a quiet one, and no host another.
        numbers = random.sample(range(len(self._hosts)), len(self._hosts))
        for number in numbers:
            keys = self._keys_on(number, names)
            message = self._pop(self._hosts[number], keys, wait / len(numbers)) if keys else None
            if message:
                return message
        return None

    def _keys_on(self, number: int, names: Sequence[str]) -> list[str]:
        here = [name for name in names if self._host_of(name, number) == number]
        return [f"{self.prefix}queue:{name}" for name in random.sample(here, len(here))]

    def _pop(self, host: StoreHost, keys: Sequence[str], wait: float) -> tuple[str, Content] | None:
        while True:
            if wait:
                answer = host.threads.exchange([("BLMPOP", f"{wait:.3f}", len(keys), *keys, "LEFT")])[0]
            else:
                answer = host.threads.exchange([("LMPOP", len(keys), *keys, "LEFT")])[0]
            if answer is None:
                return None
            queue = answer[0].decode()[len(self.prefix) + len("queue:") :]
            living = self._living(host, queue, answer[1])
            if queue.endswith("!"):
                self._feed(host, queue, living)
                message = self._expanded([queue])
            else:
                message = (queue, living[0][1].content or {}) if living else None
            if message:
                return message
            wait = 0.0

    def _expanded(self, names: Sequence[str]) -> tuple[str, Content] | None:
        """Return what a broadcast that has been popped still holds for one of the members behind a queue."""
        with self._reading:
            waiting = (self._readers[name].take() for name in names if name in self._readers)
            return next((message for message in waiting if message), None)

    def _feed(self, host: StoreHost, queue: str, living: Iterable[tuple[float, Entry]]) -> None:
        with self._reading:
            if queue not in self._readers:
                self._readers[queue] = QueueReader(queue, self.group_expiry, host.seconds, self.expiry)
            for sent, entry in living:
                self._readers[queue].feed([entry], sent)

    def _living(self, host: StoreHost, queue: str, stored: Sequence[bytes]) -> list[tuple[float, Entry]]:
        """Unpack what has been popped, with the time it was sent; count what has expired or cannot be read."""
        entries = []
        for item in stored:
            try:
                death, entry = unpack(item)
            except UnreadableEntry as error:
                self.statistics.count_dropped(queue, "unreadable", str(error))
                continue
            if death == NEVER:
                entries.append((host.seconds(), entry))
            elif death > host.seconds() * 1000:
                entries.append((death / 1000 - self.expiry, entry))
            else:
                self.statistics.count_dropped(queue, "expired", "Is a worker or interface server reading it?")
        self.statistics.count_received(queue, sum(entry.content is not None for _, entry in entries))
        return entries

    # Groups

    def group_add(self, group: str, channel: str) -> None:
        require_group_name(group), require_channel_name(channel)
        queue, local = queue_of(channel), local_part(channel)
        own = self.get_capacity(channel)
        usual = self._send_head[4 if local else 3]
        self._group_host(channel).threads.run(
            scripts.GROUP_ADD,
            self.prefix,
            self._send_head[2],
            group,
            queue,
            local,
            "" if own == usual else own,
            pack(local, group, None, True, self.max_message_size),
        )

    def group_discard(self, group: str, channel: str) -> None:
        require_group_name(group), require_channel_name(channel)
        queue, local = queue_of(channel), local_part(channel)
        told = pack(local, group, None, False, self.max_message_size) if local else ""
        self._group_host(channel).threads.run(
            scripts.GROUP_DISCARD, self.prefix, self._send_head[2], told, queue, group, local
        )

    def group_channels(self, group: str) -> list[str]:
        require_group_name(group)
        channels = []
        for host in self._hosts:
            found = [part.decode() for part in host.threads.run(scripts.GROUP_CHANNELS, self.prefix, group)]
            channels += [queue + local for queue, local in zip(found[::2], found[1::2], strict=True)]
        return channels

    def _group_host(self, channel: str) -> StoreHost:
        """Return the host that knows of a channel's memberships: where a broadcast to it is pushed."""
        return self._hosts[self._ring.host_of(queue_of(channel))]

    # Looking after it

    def flush(self) -> None:
        for host in self._hosts:
            cursor = b"0"
            while True:
                cursor, keys = host.threads.exchange([("SCAN", cursor, "MATCH", f"{self.prefix}*", "COUNT", 1000)])[0]
                if keys:
                    host.threads.exchange([("UNLINK", *keys)])
                if cursor == b"0":
                    break
        with self._reading:
            self._readers.clear()

    def channel_statistics(self, channel: str) -> dict[str, Any]:
        queue = queue_of(require_channel_name(channel))
        found = [host.threads.run(scripts.PENDING, self.prefix, self._send_head[1], queue) for host in self._hosts]
        return self.statistics.of_channel(queue, *_pending(found))

    def global_statistics(self) -> dict[str, Any]:
        found = [host.threads.run(scripts.PENDING, self.prefix, self._send_head[1], "") for host in self._hosts]
        return self.statistics.of_all(*_pending(found))

    async def statistics_async(self, channel: str) -> dict[str, Any]:
        return await asyncio.get_running_loop().run_in_executor(None, self.channel_statistics, channel)

    # What an interface server needs

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
        link = self._loop().incoming(number)
        pop = ("BLMPOP", BLOCK, 1, f"{self.prefix}queue:{queue}", "LEFT", "COUNT", QUEUE_BATCH)
        entries: list[Entry] = []
        while not entries:
            if queue in self._loop().to_restate:
                entries = await self._restated(link, queue)
                continue
            answer = (await link.exchange([pop]))[0]
            if answer is not None:
                entries = [entry for _, entry in self._living(self._hosts[number], queue, answer[1])]
        return entries

    async def leave_groups(self, queue: str, memberships: Iterable[tuple[str, str]]) -> None:
        pairs = [part for membership in memberships for part in membership]
        link = self._loop().outgoing[self._ring.host_of(queue)].link
        await link.run(scripts.GROUP_DISCARD, self.prefix, self._send_head[2], "", queue, *pairs)

    async def renew_groups(self, queue: str, memberships: Iterable[tuple[str, str]]) -> None:
        pairs = [part for membership in memberships for part in membership]
        link = self._loop().outgoing[self._ring.host_of(queue)].link
        await link.run(scripts.GROUP_RENEW, self.prefix, self._send_head[2], queue, *pairs)

    async def restate_memberships(self, queue: str) -> None:
        self._loop().to_restate.add(queue)

    async def _restated(self, link: LoopLink, queue: str) -> list[Entry]:
        # Over the connection that pops: whatever is popped later is newer.
        self._loop().to_restate.discard(queue)
        found = await link.run(scripts.MEMBERSHIPS, self.prefix, queue)
        if found is None:
            return []
        parts = [part.decode() for part in found]
        return [
            Entry(),
            *(Entry(local, group, joins=True) for group, local in zip(parts[::2], parts[1::2], strict=True)),
        ]

    async def renew_lease(self, queue: str) -> Lease:
        leases = self._loop().leases
        known = await leases[self._ring.host_of(queue)].run(scripts.RENEW_LEASE, self.prefix, queue, int(LEASE * 1000))
        for link in leases:
            while collected := await link.run(scripts.COLLECT, self.prefix, self._send_head[1], WILLS_BATCH):
                _log_collected(*collected)
        return {1: Lease.KEPT, 0: Lease.NEW, -1: Lease.LOST}[known]

    async def end_lease(self, queue: str) -> None:
        link = self._loop().outgoing[self._ring.host_of(queue)].link
        await link.run(scripts.END_LEASE, self.prefix, queue)

    async def set_wills(self, queue: str, wills: Iterable[tuple[str, Send | None]]) -> None:
        pairs = [part for local, will in wills for part in (local, _packed_will(will))]
        link = self._loop().outgoing[self._ring.host_of(queue)].link
        await link.run(scripts.SET_WILLS, self.prefix, queue, *pairs)

    def _loop(self) -> LoopConnections:
        loop = asyncio.get_running_loop()
        if loop not in self._loops:
            self._loops[loop] = LoopConnections(self._hosts, self._send_now)
        return self._loops[loop]

    async def _send_now(self, link: LoopLink, sends: Sequence[Send]) -> list[Send]:
        return self._account(sends, await link.run(scripts.SEND, *self._send_arguments(sends)))


def _log_collected(queue: bytes, wills: int) -> None:
    logger.warning("Interface process %s has died; consumers hear of the end of %d connections", queue.decode(), wills)


def _packed_will(will: Send | None) -> bytes:
    return b"" if will is None else will.name.encode() + b"\n" + will.content


def _pending(found: Sequence[Any]) -> tuple[int, float]:
    return sum(count for count, _ in found), max((age for _, age in found), default=0) / 1000
