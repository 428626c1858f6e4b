"""Pack what a worker process is working on, for the store."""

from __future__ import annotations

from collections.abc import Sequence

import ormsgpack

from ..base import Held


def pack(held: Sequence[Held]) -> bytes:
    """Pack messages that are being worked on."""
    return ormsgpack.packb([list(message) for message in held])


def unpack(packed: bytes) -> list[Held]:
    """Return the messages; none if a process of another version has packed them."""
    try:
        return [Held(*message) for message in ormsgpack.unpackb(packed)]
    except (ValueError, TypeError):
        return []
