"""Pack what a worker process is working on, for a layer that keeps it in a store."""

from __future__ import annotations

from collections.abc import Sequence

import ormsgpack

from .base import UnderWay


def pack_messages(messages: Sequence[UnderWay]) -> bytes:
    """Pack messages that are being worked on."""
    return ormsgpack.packb([list(message) for message in messages])


def unpack_messages(packed: bytes) -> list[UnderWay]:
    """Return the messages, but those that a process of another version has packed."""
    try:
        messages = [UnderWay(*message) for message in ormsgpack.unpackb(packed)]
    except (ValueError, TypeError):
        return []
    return [m for m in messages if isinstance(m.reply_channel, str) and isinstance(m.number, int | None)]
