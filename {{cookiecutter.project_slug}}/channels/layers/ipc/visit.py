"""
One visit to the map: all that it does happens in one step, or nothing of it.

The map is a table of keys in order. Names hold no zero byte, so that one separates the parts of a key; the first letter
says what is kept there:

    Q  queue                  numbers of the first and the next entry, and of messages
    e  queue, number          an entry, see ``queues``
    s  queue, bell            a reader that waits, see ``queues``
    g  group, queue           when the last membership of a queue lapses
    m  group, queue, local    when that of a channel of a process queue does
    r  queue, group           the same the other way round
    l  queue, group, local    when a channel has left
    p  queue                  when the lease of an interface process ends
    w  queue, local           the last will of a connection
    x  queue                  when an interface process has ended
    k  worker                 when the lease of a worker process ends, and what it has
    c  name                   counts, see ``counts``
    d  name, reason           messages that were dropped
    t                         when somebody last looked for dead processes
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..base import BaseChannelLayer

TIME = struct.Struct(">d")
# Of all pages of the map, messages may fill the first part, and what is known of groups and processes the second:
# what is left lets deletes work, which write their pages anew.
_SHARE_OF_MESSAGES = 0.7
_SHARE_OF_ALL = 0.85
# What a value takes beside itself and its key, in bytes, and how full its page is at least.
_OVERHEAD = 32
_LEAST_FILLED = 0.5


class NoRoom(Exception):
    """Is raised in a visit that has no room for what it must keep, so that nothing of it happens."""


class Dropped(NamedTuple):
    """Messages that reached nobody, to be warned of when the visit is over."""

    queue: str
    reason: str
    advice: str
    number: int


class Visit:
    """
    What one step of a layer reads and writes. ``transaction`` is that of LMDB, whose map has ``size`` bytes.

    ``now`` is the time of the whole step. ``to_wake`` are the queues and bells of readers that are to be woken when it
    is done, ``dropped`` what is to be warned of, ``counted`` what ``counts`` is to save. ``was_full`` says that there
    was no room for something.
    """

    __slots__ = (
        "_room",
        "_size",
        "_transaction",
        "counted",
        "delete",
        "dropped",
        "get",
        "layer",
        "now",
        "pop",
        "put",
        "to_wake",
        "was_full",
    )

    def __init__(self, transaction: Any, layer: BaseChannelLayer, size: int) -> None:
        self._transaction = transaction
        self._size = size
        self.get, self.put, self.delete = transaction.get, transaction.put, transaction.delete
        self.pop = transaction.pop
        self.layer = layer
        # After the lock was waited for, so that what comes later never has an earlier time.
        self.now = layer.clock()
        self.to_wake: list[tuple[str, str]] = []
        self.dropped: list[Dropped] = []
        self.counted: dict[str, list[int]] = {}
        self.was_full = False
        # The bytes that are free before messages, and before everything, are refused; not known before it is asked for.
        self._room: list[float] = []

    def first(self, prefix: bytes) -> bytes | None:
        """Return the first key with a prefix."""
        cursor = self._transaction.cursor()
        if not cursor.set_range(prefix):
            return None
        key: bytes = cursor.key()
        return key if key.startswith(prefix) else None

    def keys(self, prefix: bytes, after: bytes = b"", most: int | None = None) -> list[bytes]:
        """Return the keys with a prefix, from the one behind ``after`` on, ``most`` of them."""
        return [key for key, _ in self._some(prefix, after, most, values=False)]

    def items(self, prefix: bytes) -> list[tuple[bytes, bytes]]:
        """Return all keys with a prefix, and their values."""
        return list(self._some(prefix, b"", None, values=True))

    def _some(self, prefix: bytes, after: bytes, most: int | None, values: bool) -> Iterator[tuple[bytes, bytes]]:
        cursor = self._transaction.cursor()
        found = cursor.set_range(after + b"\0" if after else prefix)
        while found and (most is None or most > 0):
            key = cursor.key()
            if not key.startswith(prefix):
                return
            yield key, cursor.value() if values else b""
            most = None if most is None else most - 1
            found = cursor.next()

    def remove_some(self, most: int) -> bool:
        """Remove so many keys at most, but not the bells of those who wait; return whether there was anything."""
        found = [where for kind in "Qcdegklmprtwx" for where in self.keys(kind.encode(), most=most)]
        for where in found:
            self.delete(where)
        return bool(found)

    def time(self, key: bytes) -> float | None:
        """Return the time that is kept under a key."""
        found = self.get(key)
        return None if found is None else float(TIME.unpack_from(found)[0])

    def take_room(self, size: int, message: bool) -> bool:
        """Say whether there is room for so many bytes, of a message or of anything else, and count them as taken."""
        if not self._room:
            stat = self._transaction.stat()
            page = stat["psize"]
            used = (stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]) * page
            self._room = [self._size * _SHARE_OF_ALL - used, self._size * _SHARE_OF_MESSAGES - used, page]
        needed = (size + _OVERHEAD) / _LEAST_FILLED if size * 2 < self._room[2] else size + self._room[2]
        if self._room[message] < needed:
            self.was_full = True
            return False
        self._room[0] -= needed
        self._room[1] -= needed
        return True

    def require_room(self, size: int) -> None:
        """Take room for something that is no message. Raises ``NoRoom``."""
        if not self.take_room(size, message=False):
            raise NoRoom


def key(kind: str, *parts: str) -> bytes:
    """Return a key of the map."""
    return (kind + "\0".join(parts)).encode()


def below(kind: str, *parts: str) -> bytes:
    """Return what all keys begin with that go on after these parts."""
    return (kind + "\0".join(parts) + "\0").encode()


def parts_of(key: bytes) -> list[str]:
    """Return the parts of a key."""
    return key[1:].decode().split("\0")
