"""
The contract of a channel layer, and what all layers share.

A layer carries messages at most once, first in first out for one writer and one reader of a ``!`` or ``?``
channel, and drops what nobody has read after ``expiry`` seconds. Groups live where the sockets live: the layer
knows which *process queues* have members of a group in them and pushes a broadcast once to each of those; the
reader of the queue keeps the member sockets itself, told of them by entries in the same queue.
"""

from __future__ import annotations

import enum
import fnmatch
import math
import re
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from .. import exceptions
from ..values.names import prefix_of, queue_of, require_channel_name, require_group_name, require_pattern
from ..values.outage import Outage
from .content import MAX_MESSAGE_SIZE, copy_message
from .statistics import CountsDropped

Content = dict[str, Any]
Capacities = Mapping[str | re.Pattern[str], int]

# The most of a long body or response that travels in one message, in bytes.
MAX_CHUNK_SIZE = 512 * 1024
# The queue of an interface process carries the replies to all of its sockets, so it is far larger than a
# channel; the parts of a request body are big, and few of them are enough to keep a worker busy.
DEFAULT_CAPACITIES: dict[str | re.Pattern[str], int] = {"reply.*!": 10_000, "http.request.body?*": 4}


class Ticket(NamedTuple):
    """
    What comes with a message of an open connection beside its content, so that no sender of content can choose it.

    ``number`` is that of the message in its socket's lane, None for one that the lane does not wait for; ``session``
    holds the values of the connection's channel session. The connection is the message's ``reply_channel``.
    """

    number: int | None = None
    session: Content = {}


class Finish(NamedTuple):
    """
    What a worker tells a connection when it has done with a message of it.

    ``number`` is that of the message's ticket. ``changed`` and ``removed`` say what has become of the channel session.
    ``keeps_order``: its consumer asks for the promise of ``enforce_ordering``. ``comes_again``: the message was put
    back.
    """

    number: int | None = None
    changed: Content = {}
    removed: Sequence[str] = ()
    keeps_order: bool = False
    comes_again: bool = False


class Send(NamedTuple):
    """One send of a batch, to a channel or to a group, as a layer's ``prepare`` makes it."""

    name: str
    # The content as the layer carries it: a copy of the dict, or bytes; None where there is nothing but ``finish``.
    content: Any
    to_group: bool = False
    ticket: Ticket | None = None
    # Given to a reply channel, beside what is sent there or alone.
    finish: Finish | None = None
    # Given where the message opens or closes a connection: its reply channel, and the last will that the layer
    # keeps from now on; None to forget it.
    reply_channel: str = ""
    will: Send | None = None

    def of_finish_alone(self) -> list[Send]:
        """Return what is to be sent even when this may have been: that a message is done may be told twice."""
        return [Send(self.name, None, finish=self.finish)] if self.finish is not None else []


class Lease(enum.Enum):
    """What a layer knew of an interface process when that renewed its lease."""

    KEPT = "kept"
    # Nothing: the process is new, or the layer has lost its data.
    NEW = "new"
    # It had been taken for dead: the last wills of its connections have been carried out.
    LOST = "lost"


class Delivery(NamedTuple):
    """A message that a worker has been given."""

    channel: str
    content: Content
    ticket: Ticket | None = None


class UnderWay(NamedTuple):
    """A message that waits in its channel, or that a worker has, and for how many seconds it has been so."""

    channel: str
    reply_channel: str = ""
    number: int | None = None
    seconds: float = 0.0


class Entry(NamedTuple):
    """
    One entry of a process queue, as its reader gets it.

    ``group`` empty: ``content``, ``finish`` or both are for the channel with this ``local`` part. ``local`` empty:
    ``content`` is for the members of ``group``. Both given: ``local`` joins the group (``joins`` true) or leaves it.
    Nothing given: all memberships known so far are void, and those that hold follow; one that ``stays`` holds only if
    its reader had known it, for whoever tells it is not to be believed. ``ticket`` is for entries of other channels.
    Readers do not change ``content``: others may have the same.
    """

    local: str = ""
    group: str = ""
    content: Content | None = None
    joins: bool = False
    stays: bool = False
    ticket: Ticket | None = None
    finish: Finish | None = None

    @property
    def is_message(self) -> bool:
        """Whether this is for a connection or for members of a group, and changes no membership."""
        return self.content is not None or self.finish is not None


class BaseChannelLayer(ABC):
    """
    What every channel layer promises.

    ``expiry`` is the life of an unread message and ``group_expiry`` that of an unrenewed membership, both in
    seconds. ``capacity`` is the number of unread messages a channel takes; ``channel_capacity`` maps shell
    patterns or compiled regular expressions to other numbers, the first match counting. All the channels of
    one process queue share one capacity. ``clock`` returns seconds and never goes backwards. Raises
    ``InvalidChannelLayerError`` for a number that makes no sense.
    """

    statistics: CountsDropped
    ChannelFull = exceptions.ChannelFull
    MessageTooLarge = exceptions.MessageTooLarge
    extensions: ClassVar[Sequence[str]] = ("groups", "flush", "statistics", "async")
    spans_processes: ClassVar[bool] = True
    # None: the layer ends with its processes, and nobody needs to say that they are alive.
    lease_interval: ClassVar[float | None] = None

    def __init__(
        self,
        *,
        expiry: float = 60,
        group_expiry: float = 86_400,
        capacity: int = 100,
        channel_capacity: Capacities | None = None,
        max_message_size: int = MAX_MESSAGE_SIZE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        _require_seconds("expiry", expiry)
        _require_seconds("group_expiry", group_expiry)
        _require_count("capacity", capacity)
        _require_count("max_message_size", max_message_size)
        for pattern, size in (channel_capacity or {}).items():
            _require_count(f"channel_capacity for {pattern!r}", size)
        self.expiry = expiry
        self.group_expiry = group_expiry
        self.capacity = capacity
        self.channel_capacity = dict(channel_capacity or {})
        self.max_message_size = max_message_size
        self.clock = clock
        # Shared by all of this process that notices it.
        self.outage = Outage()
        # Of each channel and each process queue.
        self.capacities = _CapacityByQueue(self.channel_capacity, capacity)

    # Sending

    def send(self, channel: str, message: Content) -> None:
        """
        Put a message at the end of a channel, without waiting.

        Raises ``ChannelFull``, ``MessageTooLarge``, ``InvalidMessage`` or ``InvalidName``.
        """
        if self.send_many([self.prepare(channel, message)]):
            raise self.ChannelFull(self.describe_full(channel))

    def send_group(self, group: str, message: Content) -> None:
        """Send a message to every channel of a group; those that are full miss it, and are counted."""
        self.send_many([self.prepare(group, message, to_group=True)])

    def prepare(self, name: str, message: Content, to_group: bool = False, ticket: Ticket | None = None) -> Send:
        """Check and copy a send, for ``send_many``; what is wrong with it is raised here."""
        require_group_name(name) if to_group else require_channel_name(name)
        return Send(name, self.encode(name, message, to_group), to_group, ticket)

    def prepare_will(self, channel: str, message: Content, ticket: Ticket | None = None) -> Send:
        """Do so for a last will, which may be sent much later."""
        return self.prepare(channel, message, ticket=ticket)

    def encode(self, name: str, message: Content, to_group: bool) -> Any:
        """Return the content as this layer carries it. Raises ``InvalidMessage`` or ``MessageTooLarge``."""
        return copy_message(message, self.max_message_size)

    @abstractmethod
    def send_many(self, batch: Iterable[Send]) -> list[Send]:
        """
        Send prepared messages in their order and return those refused because their channel is full.

        After a refusal, later messages of the batch to the same channel are refused as well, so that a
        repeated attempt keeps the order.
        """

    # Receiving

    @abstractmethod
    def take(self, channels: Sequence[str], timeout: float | None = 0.0) -> Delivery | None:
        """
        Take one message from any of ``channels``.

        Waits for one at most ``timeout`` seconds (None: for ever), or until ``interrupt``. A layer may come back
        earlier without a message. Raises ``InvalidName``, also for process queues: see ``read_queue``.
        """

    def receive(
        self, channels: Sequence[str], block: bool = False, timeout: float | None = None
    ) -> tuple[str, Content] | tuple[None, None]:
        """Take a message, and wait for it if ``block`` is true; return ``(channel, message)`` or ``(None, None)``."""
        delivery = self.take(channels, timeout if block else 0.0)
        return (delivery.channel, delivery.content) if delivery else (None, None)

    def receive_many(self, channels: Sequence[str], block: bool = False) -> tuple[str, Content] | tuple[None, None]:
        """Be ``receive`` under the name that the first layers gave it."""
        return self.receive(channels, block)

    def send_and_take(
        self, batch: Sequence[Send], channels: Sequence[str], timeout: float, finished: str = ""
    ) -> tuple[list[Send], Delivery | None]:
        """
        Do a worker's turn: send what a consumer has sent, and wait for the next message.

        ``finished`` is the channel of the message that the worker has finished with; the one it gets counts as
        unfinished until the next turn. Without a ``timeout`` it does not wait, nor where it knows that something has
        been refused. Returns what ``send_many`` and ``take`` return. A layer that raises has not taken a message,
        and says by ``uncertain`` whether it may have sent the batch.
        """
        refused = self.send_many(batch) if batch else []
        return refused, self.take(channels, 0.0 if refused else timeout)

    def give_back(self) -> None:  # noqa: B027
        """
        Put back what this thread has taken and nobody has been given: a worker that stops does so.

        Only a layer of several servers ever has anything: see its ``hosts``.
        """

    @abstractmethod
    def interrupt(self) -> None:
        """Make every ``receive`` that waits in this process come back at once."""

    def new_channel(self, pattern: str) -> str:
        """Return an unused single-reader channel: ``pattern``, which ends in ``?``, with a random end."""
        return require_pattern(pattern) + secrets.token_hex(12)

    # Groups

    @abstractmethod
    def group_add(self, group: str, channel: str) -> None:
        """
        Add a channel to a group, or renew its membership.

        Membership lapses ``group_expiry`` seconds after the last renewal. Raises ``InvalidName``.
        """

    @abstractmethod
    def group_discard(self, group: str, channel: str) -> None:
        """Remove a channel from a group; nothing happens if it is no member. Raises ``InvalidName``."""

    @abstractmethod
    def group_channels(self, group: str) -> list[str]:
        """Return the names of the channels in a group."""

    # Looking after it

    @abstractmethod
    def flush(self) -> None:
        """Remove all messages and groups; they are gone when this returns."""

    @abstractmethod
    def channel_statistics(self, channel: str) -> dict[str, Any]:
        """Return the figures of one channel; see ``layers.statistics`` for the keys."""

    @abstractmethod
    def global_statistics(self) -> dict[str, Any]:
        """Return the same figures summed over all channels."""

    # What an interface server needs

    @abstractmethod
    async def send_many_async(self, batch: Iterable[Send]) -> list[Send]:
        """Be ``send_many`` on an event loop."""

    @abstractmethod
    async def read_queue(self, queue: str) -> list[Entry]:
        """
        Wait for entries in a process queue (its name ends in ``!``) and take many of them, in order.

        Others on the event loop have their turn meanwhile, also where there is always more.
        """

    @abstractmethod
    async def leave_groups(self, queue: str, memberships: Iterable[tuple[str, str]]) -> None:
        """Remove the memberships ``(group, local part)`` of closed channels of a process queue."""

    @abstractmethod
    async def renew_groups(self, queue: str, memberships: Iterable[tuple[str, str]]) -> None:
        """Renew the memberships ``(group, local part)`` of the living channels of a process queue."""

    async def restate_memberships(self, queue: str) -> None:  # noqa: B027
        """Have ``read_queue`` tell all memberships again: its reader may have missed changes of them."""

    async def renew_lease(self, queue: str) -> Lease:
        """
        Say that the interface process that reads a process queue is alive, every ``lease_interval`` seconds.

        When a process has stopped saying so, its memberships lapse and the last wills of its connections are
        carried out, each once: so consumers hear of the end of connections whose server was killed.
        """
        return Lease.KEPT

    async def tend(self) -> None:  # noqa: B027
        """
        Do what processes do for all others: drop what nobody reads, and carry out the last wills of dead ones.

        It may take long, and is asked for as often as a lease is renewed, but not again before it is done.
        """

    async def end_lease(self, queue: str) -> None:  # noqa: B027
        """Say that the process ends, and that consumers have been told of the end of all its connections."""

    async def set_wills(self, queue: str, wills: Iterable[tuple[str, Send | None]]) -> None:  # noqa: B027
        """Keep last wills of connections, by the local parts of their reply channels; None to forget one."""

    # What a worker process says of itself

    def renew_worker(self, worker: str, has: Sequence[UnderWay]) -> None:  # noqa: B027
        """
        Say that a worker process is alive and which messages it has, every ``lease_interval`` seconds.

        It is working on them, or could not tell their connections yet that it is done. When it has stopped saying so,
        they are reported as lost.
        """

    def end_worker(self, worker: str) -> None:  # noqa: B027
        """Say that a worker process ends, and has finished all it held."""

    @abstractmethod
    async def find_lost(self, under_way: Sequence[UnderWay]) -> list[UnderWay]:
        """
        Return those of these messages that nobody has: they wait in no channel, and no living worker has them.

        A layer of several processes hears of what a worker has every ``lease_interval`` seconds. So a message may have
        been taken just now if it is found once, and is lost if it is found again some seconds later.
        """

    # Capacity

    @property
    def chunk_size(self) -> int:
        """How many bytes of a long body or response travel in one message: there is room for a head beside them."""
        return min(MAX_CHUNK_SIZE, max(1, self.max_message_size // 2))

    def get_capacity(self, channel: str) -> int:
        """Return how many unread messages the channel, or the process queue it belongs to, may hold."""
        return self.capacities[queue_of(channel)]

    def describe_full(self, channel: str) -> str:
        """Say in a sentence why a message was refused and which setting to change."""
        return (
            f"The channel {prefix_of(channel)!r} holds {self.get_capacity(channel)} messages that nobody has read. "
            "Start more workers for it, or raise 'capacity' or 'channel_capacity' in the CONFIG of CHANNEL_LAYERS."
        )


def _require_seconds(name: str, value: Any) -> None:
    # Stores count in milliseconds. True and False are numbers, too.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.001 <= value < math.inf:
        raise _wrong_number(name, value, "seconds, at least 0.001")


def _require_count(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise _wrong_number(name, value, "a whole number above zero")


def _wrong_number(name: str, value: Any, expected: str) -> exceptions.InvalidChannelLayerError:
    return exceptions.InvalidChannelLayerError(
        f"The channel layer's {name} is {value!r}; expected {expected}. "
        "Change it in the CONFIG of CHANNEL_LAYERS, or in CHANNEL_LAYER_URL."
    )


class _CapacityByQueue(dict[str, int]):
    """The capacities that have been asked for, by names without local parts."""

    def __init__(self, chosen: Capacities, usual: int) -> None:
        super().__init__()
        self._usual = usual
        self._patterns = [
            (re.compile(_translate(pattern)) if isinstance(pattern, str) else pattern, size)
            for pattern, size in (*chosen.items(), *DEFAULT_CAPACITIES.items())
        ]

    def __missing__(self, queue: str) -> int:
        size = next((size for pattern, size in self._patterns if pattern.match(queue)), self._usual)
        # Names with a random end are not remembered: there is no end of them.
        if "?" not in queue:
            self[queue] = size
        return size


def _translate(pattern: str) -> str:
    """Turn a shell pattern into a regular expression in which ``?`` is the mark of a channel name."""
    return fnmatch.translate(pattern.replace("?", "[?]"))
