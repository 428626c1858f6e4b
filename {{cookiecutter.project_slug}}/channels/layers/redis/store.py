"""
What both sides of the Redis layer share: the servers, and how messages are written to them and read from them.

The worker's side uses a connection for each thread, the interface server's connections on its event loop.
"""

from __future__ import annotations

import logging
import random
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ...exceptions import ChannelLayerUnavailable, InvalidChannelLayerError, InvalidMessage
from ...values.names import local_part, queue_of
from ..base import BaseChannelLayer, Content, Entry, Send
from .asides import Asides
from .counts import Counts, StoreCounts
from .envelope import NEVER, UnreadableEntry, pack, split, unpack
from .hashing import Ring
from .hosts import Host, RedisHost, StoreHost
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


class Outcome(NamedTuple):
    """What has become of the sends to one host: some were refused, or there was an error."""

    host: StoreHost
    sends: list[Send]
    refused: list[Send]
    error: ChannelLayerUnavailable | None = None


class RedisStore(BaseChannelLayer):
    """The servers of a Redis layer, and the messages in them. Its arguments are those of ``RedisChannelLayer``."""

    def __init__(
        self,
        hosts: Sequence[Host] | None = None,
        prefix: str = "channels:",
        connection_kwargs: dict[str, Any] | None = None,
        symmetric_encryption_keys: Sequence[str | bytes] = (),
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.prefix = prefix
        self.statistics: StoreCounts = StoreCounts(self.clock)
        arguments = {"socket_timeout": BLOCK + ANSWER_TIMEOUT, "protocol": 2, **(connection_kwargs or {})}
        self._hosts = self.make_hosts(hosts or [("localhost", 6379)], arguments)
        if len(self._hosts) == 1:
            # Its outage is that of the whole layer.
            self._hosts[0].outage = self.outage
        self._ring = Ring(len(self._hosts))
        self._memory_ran_out = self._did_not_answer = -HINT_LIFE
        self._memories: dict[tuple[str, float], Memory] = {}
        self._unreadable: deque[bytes] = deque(maxlen=UNREADABLE_KEPT)
        self._cipher = _make_cipher(symmetric_encryption_keys, prefix, self.expiry, self.group_expiry)
        self._expiry = int(self.expiry * 1000)
        self._group_expiry = int(self.group_expiry * 1000)
        # So long counts are kept when nothing more is counted.
        self._counts_life = max(self._expiry, self._group_expiry)
        # Where the channel has a capacity of its own, its sends say so; these are for what a group leads to.
        capacities = (self.capacity, self.get_capacity("reply.any!"))
        self._send_head = (prefix, self._expiry, self._group_expiry, *capacities, self._counts_life)
        self._look_head = (prefix, self._expiry, self._counts_life)
        self._lease = int(LEASE * 1000)
        self._look_limits = (int(UNWATCHED * 1000), self._lease)

    def make_hosts(self, hosts: Sequence[Host], arguments: dict[str, Any]) -> list[StoreHost]:
        """Return what messages are spread over, given the arguments ``hosts`` and those of a connection."""
        return [RedisHost(host, arguments) for host in hosts]

    def encode(self, name: str, message: Content, to_group: bool) -> bytes:
        """Return the entry of a message. It is sealed when it is written: only then is the store's time known."""
        if not isinstance(message, dict):
            raise InvalidMessage(f"The content of a message is a dict, not {type(message).__name__}.")
        local, group = ("", name) if to_group else (local_part(name), "")
        return pack(local, group, message, False, self.max_message_size)

    def _pack_change(self, host: StoreHost, group: str, channel: str, joins: bool) -> bytes:
        """Return the entry that tells the reader of a process queue who joins or leaves a group."""
        packed = pack(local_part(channel), group, None, joins, self.max_message_size)
        return self._sealed(host.asides, "m", queue_of(channel), packed)

    def _packed_will(self, will: Send | None) -> bytes:
        """Return a last will as the store keeps it: the channel, a line break, the entry. Its time is not known yet."""
        if will is None:
            return b""
        content = will.content if self._cipher is None else self._cipher.seal("c", will.name, None, will.content)
        return will.name.encode() + b"\n" + content

    def _sealed(self, asides: Asides, kind: str, name: str, packed: bytes) -> bytes:
        if self._cipher is None:
            return packed
        return self._cipher.seal(kind, name, asides.seconds(), packed)

    # Where things are

    def _by_host(self, batch: Iterable[Send]) -> dict[int, list[Send]]:
        if len(self._hosts) == 1:
            return {0: list(batch)}
        by_host: dict[int, list[Send]] = {}
        anywhere = self._anywhere()
        for send in batch:
            # A connection's last will lies with its process queue, and is changed in one step with the send.
            one = self._host_of(send.reply_channel or send.name, anywhere)
            for number in range(len(self._hosts)) if send.to_group else [one]:
                by_host.setdefault(number, []).append(send)
        return by_host

    def _anywhere(self) -> int:
        """Return one of the hosts, for what may lie on any."""
        numbers = range(len(self._hosts))
        return random.choice([number for number in numbers if not self._hosts[number].rests] or numbers)

    def _host_of(self, channel: str, anywhere: int) -> int:
        """Return the host of a channel with a single reader; others may lie on any, for their readers read all."""
        return self._ring.host_of(queue_of(channel)) if "!" in channel or "?" in channel else anywhere

    # Sending

    def _send_arguments(self, asides: Asides, sends: Sequence[Send], done: str = "") -> list[Any]:
        arguments: list[Any] = [*self._send_head, done]
        for send in sends:
            if send.to_group:
                arguments += ("g", send.name, self._sealed(asides, "g", send.name, send.content))
                continue
            queue = queue_of(send.name)
            content = self._sealed(asides, "c", queue, send.content)
            if send.reply_channel:
                will = self._packed_will(send.will)
                connection = (queue_of(send.reply_channel), local_part(send.reply_channel), will)
                arguments += ("w", queue, self.get_capacity(send.name), content, *connection)
            else:
                arguments += ("c", queue, self.get_capacity(send.name), content)
        return arguments

    def _refused(self, sends: Sequence[Send], missed: Sequence[Any]) -> list[Send]:
        """Return the sends that a full channel has refused; count the others, and warn of what groups have missed."""
        if not missed:
            self.statistics.count_sent([send.name for send in sends if not send.to_group])
            return []
        without = dict(zip(missed[::2], missed[1::2], strict=True))
        refused = [send for number, send in enumerate(sends) if number in without and not send.to_group]
        for number, queues in without.items():
            if sends[number].to_group:
                for queue in queues.decode().split():
                    self.statistics.warn_dropped(queue, "full, group message", self.describe_full(queue))
        self.statistics.count_sent(
            [send.name for number, send in enumerate(sends) if not send.to_group and number not in without]
        )
        return refused

    def _count_arguments(self, counts: Counts) -> list[Any]:
        arguments: list[Any] = [self.prefix, self._counts_life]
        for (channel, figure), number in counts.items():
            arguments += (channel, figure, number)
        return arguments

    def _left_after(self, outcomes: Sequence[Outcome]) -> list[Send]:
        """Return what was refused or may be sent again, as some hosts have failed; raise when all have, alike."""
        if len(self._hosts) > 1:
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
                left += self._left_of(outcome.sends, outcome.error, elsewhere=True)
        return left

    def _left_of(self, sends: Sequence[Send], error: ChannelLayerUnavailable, elsewhere: bool = False) -> list[Send]:
        """
        Return what may be sent again although a host has failed; the rest is counted.

        ``elsewhere``: what goes to groups was also sent to other hosts.
        """
        left = []
        for send in sends:
            if error.uncertain:
                self.statistics.count_dropped(send.name, "uncertain")
            elif send.to_group and elsewhere:
                self.statistics.count_dropped(send.name, "a host is not available")
            else:
                left.append(send)
        return left

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
        """Say why a message was refused: because of the store, if there was something wrong with it lately."""
        now = time.monotonic()
        if now - self._did_not_answer < HINT_LIFE:
            return "The store of the channel layer does not answer."
        if now - self._memory_ran_out < HINT_LIFE:
            return f"The store of the channel layer has no memory left. {_MEMORY_ADVICE}"
        return super().describe_full(channel)

    # Receiving

    def _living(self, host: StoreHost, queue: str, stored: Sequence[bytes]) -> Iterator[tuple[float, Entry]]:
        """Unpack what has been popped, with the time it was sent; count what has expired or cannot be read."""
        now = host.seconds()
        for item in stored:
            try:
                death, body = split(item)
                entry = unpack(body) if self._cipher is None else self._open(self._cipher, host, queue, body, now)
            except UnreadableEntry as error:
                self.statistics.count_gone(queue, "unreadable", f"{error} It is kept under '{self.prefix}unreadable'.")
                self._unreadable.append(item)
                continue
            if entry is None:
                continue
            if death == NEVER:
                yield now, entry
            elif death > now * 1000:
                yield death / 1000 - self.expiry, entry
            else:
                self.statistics.count_gone(queue, "expired", "Is a worker or interface server reading it?")

    def _open(self, cipher: Cipher, host: StoreHost, queue: str, sealed: bytes, now: float) -> Entry | None:
        """Return what was sealed; None for a change of a membership that has been read before."""
        opened, entry = self._unsealed(cipher, queue, sealed, now)
        if not self._is_new(host, queue, opened.id, opened.memory, now):
            # A reader may have been given it twice.
            if entry.content is None:
                return None
            raise UnreadableEntry("The entry has been read before, and has been put back.")
        return entry

    def _unsealed(self, cipher: Cipher, queue: str, sealed: bytes, now: float) -> tuple[Opened, Entry]:
        """Return what was sealed for this queue. Raises ``UnreadableEntry``."""
        opened = cipher.open(sealed, now)
        entry = unpack(opened.packed)
        target = ("m", queue) if entry.content is None else ("g", entry.group) if entry.group else ("c", queue)
        if target != (opened.kind, opened.name):
            raise UnreadableEntry(f"The entry was sealed for {opened.name!r} and lies in {queue!r}.")
        return opened, entry

    def _restated_one(self, host: StoreHost, queue: str, group: bytes, local: bytes, sealed: bytes) -> Entry:
        """Return the entry that tells a membership anew; ``sealed`` is the one that told it first."""
        entry = Entry(local.decode(), group.decode(), joins=True)
        if self._cipher is None:
            return entry
        now = host.seconds()
        try:
            opened, told = self._unsealed(self._cipher, queue, sealed, now)
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
                return host.threads.exchange([("SET", key, "", "NX", "PX", int(memory * 1000))])[0] is not None
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

    def _unreadable_commands(self) -> list[tuple[Any, ...]]:
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
