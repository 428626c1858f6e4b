"""Pack what a worker process is working on, for the store."""

from __future__ import annotations

from collections.abc import Sequence

import ormsgpack

from ..base import UnderWay


def pack(messages: Sequence[UnderWay]) -> bytes:
    """Pack messages that are being worked on."""
    return ormsgpack.packb([list(message) for message in messages])


def unpack(packed: bytes) -> list[UnderWay]:
    """Return the messages; none if a process of another version has packed them."""
    try:
        return [UnderWay(*message) for message in ormsgpack.unpackb(packed)]
    except (ValueError, TypeError):
        return []
