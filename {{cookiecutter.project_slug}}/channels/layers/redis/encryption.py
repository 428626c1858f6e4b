"""
Encrypt what lies in the store, so that whoever can read or write there can neither read nor forge messages.

An entry is sealed as a Fernet token (AES-128-CBC and HMAC-SHA-256, see the Fernet specification; the keys are SHA-256
digests of the configured ones) of a MessagePack list:

    what it is for   three items: the layer's prefix; ``c``, a message to a channel, ``g``, one to a group, or ``m``, a
                     change of a membership; and the name of the queue, or of the group
    when             the time of sending by the store's clock in seconds; None for what may be read at any time: a last
                     will, which is kept as long as its connection is open
    the entry        as ``envelope`` packs it

So an entry that is put elsewhere, or put back when its time is over, is not taken. The token's own random part is what
readers remember, to take none twice.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import ormsgpack
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from ...exceptions import InvalidChannelLayerError
from ..envelope import UnreadableEntry

# By so much an entry may be older than its life, in seconds: several stores may not agree on the time.
LEEWAY = 10.0
# A change of a membership is read within so many seconds, or not at all. Who does not read for that long has lost its
# lease; and readers remember each change as long as it is good, so that a day's would take hundreds of megabytes.
CHANGE_LIFE = 600.0
# Where the random part lies in a token that has been decoded: after the version and the time.
_RANDOM = slice(9, 25)


class Opened(NamedTuple):
    """A sealed entry: for what it is, its random id, for how many seconds to remember that, and the packed entry."""

    kind: str
    name: str
    id: bytes
    memory: float
    packed: bytes


class Cipher:
    """
    Seals entries with the first of some keys, and opens those sealed with any of them.

    ``keys`` are texts or bytes, ``prefix`` is the layer's, ``expiry`` and ``group_expiry`` are the lives of a message
    and of a membership in seconds. Raises ``InvalidChannelLayerError`` for anything but a list of keys.
    """

    def __init__(self, keys: Sequence[str | bytes], prefix: str, expiry: float, group_expiry: float) -> None:
        if isinstance(keys, str | bytes) or not all(isinstance(key, str | bytes) and key for key in keys):
            raise InvalidChannelLayerError("'symmetric_encryption_keys' must be a list of keys, each a text or bytes.")
        self._fernet = MultiFernet([Fernet(_fernet_key(key)) for key in keys])
        self._prefix = prefix
        self._expiry, self._group_expiry = expiry, group_expiry
        # What changes a membership does not expire in its queue, as messages do.
        self._change_life = min(group_expiry, max(expiry, CHANGE_LIFE))

    def seal(self, kind: str, name: str, sent: float | None, packed: bytes) -> bytes:
        """Seal an entry of a ``kind`` for the queue or the group with this name."""
        return self._fernet.encrypt(ormsgpack.packb([self._prefix, kind, name, sent, packed]))

    def open(self, sealed: bytes, now: float) -> Opened:
        """Open an entry. Raises ``UnreadableEntry``."""
        try:
            prefix, kind, name, sent, packed = ormsgpack.unpackb(self._fernet.decrypt(sealed))
        except (InvalidToken, ValueError) as error:
            raise UnreadableEntry("The entry was not sealed with any of our 'symmetric_encryption_keys'.") from error
        if prefix != self._prefix:
            raise UnreadableEntry(f"The entry was sealed by a layer with the prefix {prefix!r}, ours is another.")
        life = (self._change_life if kind == "m" else self._expiry) + LEEWAY
        if sent is not None and now - sent > life:
            raise UnreadableEntry("The entry was sealed long ago, and has been put back.")
        memory = self._group_expiry if sent is None else life + LEEWAY
        return Opened(kind, name, base64.urlsafe_b64decode(sealed)[_RANDOM], memory, packed)


def _fernet_key(key: str | bytes) -> bytes:
    data = key.encode() if isinstance(key, str) else key
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest())
