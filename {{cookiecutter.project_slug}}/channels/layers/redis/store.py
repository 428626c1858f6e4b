"""What a Redis layer keeps in its hosts: how messages are written to them, and what is read from them."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ...exceptions import ChannelLayerUnavailable, InvalidChannelLayerError
from ...values.names import local_part, queue_of
from ..base import BaseChannelLayer, Delivery, Entry, Send
from ..envelope import UnreadableEntry, pack, packed_send, unpack
from .counts import Counts, StoreCounts
from .envelope import NEVER, split
from .hosts import StoreHost
from .memory import Memory

if TYPE_CHECKING:
    from .encryption import Cipher, Opened

logger = logging.getLogger(__name__)

# A blocking pop comes back after so long, in seconds, to see whether its reader has been interrupted.
BLOCK = 0.5
# What an answer may take beyond that.
ANSWER_TIMEOUT = 2.0
# A process that has not been heard of for so long, in seconds, is dead.
LEASE = 8.0
# When nobody has looked for the dead for so long, in seconds, leases begin anew. Readers look more often.
UNWATCHED = 4.0
# As many last wills are carried out in one step.
WILLS_BATCH = 200
# As many queues of dead messages are swept in one step.
SWEEP_BATCH = 1000
# As many entries that nobody could read are kept.
UNREADABLE_KEPT = 100
# For so long, in seconds, want of memory, or a store that does not answer, explains why a message is refused.
HINT_LIFE = 10.0
_MEMORY_ADVICE = "Start more workers to empty its channels, or raise its maxmemory."


class Store:
    """
    How the messages of a ``layer`` lie in its hosts, and what is counted and remembered of them here.

    ``keys`` are those that messages are sealed with, if there are any.
    """

    def __init__(self, layer: BaseChannelLayer, prefix: str, keys: Sequence[str | bytes]) -> None:
        self._layer = layer
        self.prefix = prefix
        self.outage = layer.outage
        self.statistics = StoreCounts(layer.clock)
        self.cipher = _make_cipher(keys, prefix, layer.expiry, layer.group_expiry)
        self._memory_ran_out = self._did_not_answer = -HINT_LIFE
        self._memories: dict[tuple[str, float], Memory] = {}
        self._unreadable: deque[bytes] = deque(maxlen=UNREADABLE_KEPT)
        self.expiry, group_expiry = int(layer.expiry * 1000), int(layer.group_expiry * 1000)
        # What every script is told first. Counts are kept for the longest of lives when nothing more is counted.
        self.head = (prefix, self.expiry, group_expiry, max(self.expiry, group_expiry))
        # Where the channel has a capacity of its own, its sends say so; these are for what a group leads to.
        self._usual_capacities = (layer.capacity, layer.get_capacity("reply.any!"))
        self.lease = int(LEASE * 1000)
        # What whoever looks for dead processes says.
        self.look = (*self.head, int(UNWATCHED * 1000), self.lease)

    # Writing

    def send_arguments(self, host: StoreHost, sends: Sequence[Send], done: str = "") -> list[Any]:
        """Return what the script that sends is told; ``done`` is what a worker has finished with."""
        capacities, is_sealed = self._layer.capacities, self.cipher is not None
        max_size = self._layer.max_message_size
        arguments: list[Any] = [*self.head, done, *self._usual_capacities]
        for send in sends:
            name, packed = send.name, packed_send(send, max_size)
            if send.to_group:
                arguments += ("g", name, self._sealed(host, "g", name, packed) if is_sealed else packed)
                continue
            queue, opener = queue_of(name), send.reply_channel
            if is_sealed:
                packed = self._sealed(host, "c", queue, packed)
            arguments += ("w" if opener else "c", queue, capacities[queue], packed)
            if opener:
                arguments += (queue_of(opener), local_part(opener), self.packed_will(send.will))
        return arguments

    def group_add_arguments(self, host: StoreHost, group: str, channel: str) -> list[Any]:
        """Return what the script that adds a channel to a group is told."""
        queue, local = queue_of(channel), local_part(channel)
        own, usual = self._layer.get_capacity(channel), self._usual_capacities[bool(local)]
        told = self._change(host, group, channel, joins=True)
        return [*self.head, group, queue, local, "" if own == usual else own, told, "1" if self.cipher else ""]

    def group_discard_arguments(self, host: StoreHost, group: str, channel: str) -> list[Any]:
        """Return what the script that takes a channel out of a group is told."""
        queue, local = queue_of(channel), local_part(channel)
        return [*self.head, self._change(host, group, channel, joins=False) if local else "", queue, group, local]

    def _change(self, host: StoreHost, group: str, channel: str, joins: bool) -> bytes:
        """Return the entry that tells the reader of a process queue who joins or leaves a group."""
        packed = pack(local_part(channel), group, None, joins, self._layer.max_message_size)
        return self._sealed(host, "m", queue_of(channel), packed)

    def packed_will(self, will: Send | None) -> bytes:
        """Return a last will as the store keeps it: the channel, a line break, the entry. Its time is not known yet."""
        if will is None:
            return b""
        packed = packed_send(will, self._layer.max_message_size)
        content = packed if self.cipher is None else self.cipher.seal("c", will.name, None, packed)
        return will.name.encode() + b"\n" + content

    def _sealed(self, host: StoreHost, kind: str, name: str, packed: bytes) -> bytes:
        return packed if self.cipher is None else self.cipher.seal(kind, name, host.asides.seconds(), packed)

    # What has become of sends

    def refused(self, sends: Sequence[Send], missed: Sequence[Any]) -> list[Send]:
        """Return the sends that a full channel has refused; count the others, and warn of what groups have missed."""
        if not missed:
            self.statistics.count_sent([send.name for send in sends if not send.to_group])
            return []
        without = dict(zip(missed[::2], missed[1::2], strict=True))
        refused = [send for number, send in enumerate(sends) if number in without and not send.to_group]
        for number, queues in without.items():
            if sends[number].to_group:
                for queue in queues.decode().split():
                    self.statistics.warn_dropped(queue, "full, group message", self._layer.describe_full(queue))
        self.statistics.count_sent(
            [send.name for number, send in enumerate(sends) if not send.to_group and number not in without]
        )
        return refused

    def refused_for_memory(self, sends: Sequence[Send]) -> list[Send]:
        """Treat all channels as full, since the store has no memory left."""
        self._memory_ran_out = time.monotonic()
        for send in sends:
            if send.to_group:
                self.statistics.count_dropped(send.name, "the store has no memory left", _MEMORY_ADVICE)
            else:
                self.statistics.count_full(send.name)
        return [send for send in sends if not send.to_group]

    def left_of(self, sends: Sequence[Send], error: ChannelLayerUnavailable) -> list[Send]:
        """Return what may be sent again although a host has failed; the rest is counted."""
        if not error.uncertain:
            return list(sends)
        for send in sends:
            if send.content is not None:
                self.statistics.count_dropped(send.name, "uncertain")
        return [left for send in sends for left in send.of_finish_alone()]

    def does_not_answer(self) -> None:
        """Take note that a host does not answer."""
        self._did_not_answer = time.monotonic()

    def describe_trouble(self) -> str:
        """Say why messages are refused, if there was something wrong with the store lately."""
        now = time.monotonic()
        if now - self._did_not_answer < HINT_LIFE:
            return "The store of the channel layer does not answer."
        if now - self._memory_ran_out < HINT_LIFE:
            return f"The store of the channel layer has no memory left. {_MEMORY_ADVICE}"
        return ""

    # Counts

    def count_arguments(self, counts: Counts) -> list[Any]:
        """Return what the script that saves counts is told."""
        arguments: list[Any] = [*self.head]
        for (channel, figure), number in counts.items():
            arguments += (channel, figure, number)
        return arguments

    def keep_counts(self, counts: Counts, error: ChannelLayerUnavailable) -> None:
        """Save later what could not be saved now, unless it may have been."""
        if not error.uncertain:
            self.statistics.give_back(counts)

    def keep_done(self, done: str, error: ChannelLayerUnavailable) -> None:
        """Count later that a worker has finished with a message, which the store could not be told."""
        if done and not error.uncertain:
            self.statistics.count_received(done)

    # Reading

    def queue_in(self, popped: Any) -> str:
        """Return the queue from which something has been popped."""
        return str(popped[0].decode()[len(self.prefix) + len("queue:") :])

    def message_in(self, host: StoreHost, popped: Any) -> Delivery | None:
        """Return the message in what has been popped, if it holds one that lives."""
        queue = self.queue_in(popped)
        entry = self._living(host, queue, popped[1][0], host.asides.seconds())
        return None if entry is None else Delivery(queue, entry.content or {}, entry.ticket)

    def entries_in(self, host: StoreHost, queue: str, stored: Sequence[bytes]) -> Iterator[Entry]:
        """Unpack what has been popped from a process queue."""
        now = host.asides.seconds()
        for item in stored:
            entry = self._living(host, queue, item, now)
            if entry is not None:
                yield entry

    def _living(self, host: StoreHost, queue: str, item: bytes, now: float) -> Entry | None:
        """Unpack an entry; what has expired or cannot be read is counted."""
        try:
            death, body = split(item)
            entry = unpack(body) if self.cipher is None else self._open(self.cipher, host, queue, body, now)
        except UnreadableEntry as error:
            self.statistics.count_gone(queue, "unreadable", f"{error} It is kept under '{self.prefix}unreadable'.")
            self._unreadable.append(item)
            return None
        if entry is None or death == NEVER or death > now * 1000:
            return entry
        self.statistics.count_gone(queue, "expired", "Is a worker or interface server reading it?")
        return None

    def _open(self, cipher: Cipher, host: StoreHost, queue: str, sealed: bytes, now: float) -> Entry | None:
        """Return what was sealed; None for a change of a membership that has been read before."""
        opened, entry = self._unsealed(cipher, queue, sealed, now)
        if not self._is_new(host, queue, opened.id, opened.memory, now):
            # A reader may have been given it twice.
            if not entry.is_message:
                return None
            raise UnreadableEntry("The entry has been read before, and has been put back.")
        return entry

    def _unsealed(self, cipher: Cipher, queue: str, sealed: bytes, now: float) -> tuple[Opened, Entry]:
        """Return what was sealed for this queue. Raises ``UnreadableEntry``."""
        opened = cipher.open(sealed, now)
        entry = unpack(opened.packed)
        target = ("m", queue) if not entry.is_message else ("g", entry.group) if entry.group else ("c", queue)
        if target != (opened.kind, opened.name):
            raise UnreadableEntry(f"The entry was sealed for {opened.name!r} and lies in {queue!r}.")
        return opened, entry

    def told_anew(self, host: StoreHost, queue: str, group: bytes, local: bytes, sealed: bytes) -> Entry:
        """Return the entry that tells a membership anew; ``sealed`` is the one that told it first."""
        entry = Entry(local.decode(), group.decode(), joins=True)
        if self.cipher is None:
            return entry
        now = host.asides.seconds()
        try:
            opened, told = self._unsealed(self.cipher, queue, sealed, now)
        except UnreadableEntry:
            return entry._replace(stays=True)
        memory = self._memory(queue, opened.memory, now)
        # It is told anew once, and may come by the queue all the same: after a leave that is older, it has to count.
        lost = told == entry and not memory.knows(opened.id) and memory.is_new(b"anew " + opened.id, now)
        # Nobody without a key can have a membership told that its reader has not been told of with the key.
        return entry if lost else entry._replace(stays=True)

    def _is_new(self, host: StoreHost, queue: str, identity: bytes, memory: float, now: float) -> bool:
        """Remember the id of an entry for ``memory`` seconds; return False if it is known already."""
        if not queue.endswith("!"):
            key = f"{self.prefix}read:{queue}:{identity.hex()}"
            try:
                return host.connections.exchange([("SET", key, "", "NX", "PX", int(memory * 1000))])[0] is not None
            except ChannelLayerUnavailable as error:
                # It has been popped: better read twice, if somebody has put it there, than lost for sure.
                logger.warning("Whether a message was read before could not be found out: %s", error)
                return True
        # A process queue has one reader, whose own memory is enough.
        return self._memory(queue, memory, now).is_new(identity, now)

    def _memory(self, queue: str, seconds: float, now: float) -> Memory:
        """Return what the reader of a process queue remembers for so long."""
        if (queue, seconds) not in self._memories:
            # Queues come and go with their processes.
            for known in [known for known, others in list(self._memories.items()) if others.is_empty(now)]:
                self._memories.pop(known, None)
        return self._memories.setdefault((queue, seconds), Memory(seconds))

    def unreadable_commands(self) -> list[tuple[Any, ...]]:
        """Return the commands that set aside what could not be read, for whoever can, for a day."""
        if not self._unreadable:
            return []
        key, items = f"{self.prefix}unreadable", list(self._unreadable)
        self._unreadable.clear()
        return [("LPUSH", key, *items), ("LTRIM", key, 0, UNREADABLE_KEPT - 1), ("EXPIRE", key, 86_400)]


def _make_cipher(keys: Sequence[str | bytes], prefix: str, expiry: float, group_expiry: float) -> Cipher | None:
    if not keys:
        return None
    try:
        from .encryption import Cipher
    except ModuleNotFoundError as error:
        raise InvalidChannelLayerError(
            f"Encrypted messages need the package {error.name}, which is not installed: "
            "python -m pip install 'cryptography>=44' (and write it into requirements.txt)."
        ) from error

    return Cipher(keys, prefix, expiry, group_expiry)


def log_collected(queue: bytes, wills: int) -> None:
    """Say that an interface process has died."""
    logger.warning("Interface process %s has died; consumers hear of the end of %d connections", queue.decode(), wills)
