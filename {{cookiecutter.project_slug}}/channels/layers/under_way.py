"""What a worker process is working on: packed for a layer that keeps it, and told of when the process has died."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import ormsgpack

from .base import UnderWay

logger = logging.getLogger(__name__)


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


def log_dead_worker(worker: str, had: Sequence[UnderWay], silence: float) -> None:
    """Say that a worker process has died, after how many seconds without a word, and what is lost with it."""
    logger.error("Worker process %s has said nothing for %.0f s and is taken for dead", worker, silence)
    for message in had:
        logger.error(
            "A message on %s from %s is lost with it, after %.0f s of work",
            message.channel,
            message.reply_channel or "nobody",
            message.seconds,
        )
