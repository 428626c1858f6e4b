"""
What a layer asks its store beside its work: what time it is, and once whether it throws data away.

The questions ride along behind other commands: they cost no trip of their own, and nobody waits for them, least of
all an event loop.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

logger = logging.getLogger(__name__)

# How often the distance between the store's clock and ours is measured, in seconds.
CLOCK_INTERVAL = 30.0


class Asides:
    """The questions to one store, and what its answers have told. ``name`` stands for the store in the log."""

    def __init__(self, name: str) -> None:
        self._name = name
        # None until the store has told its time.
        self._distance: float | None = None
        # Whether the store may be another one by now, with a clock of its own.
        self._in_doubt = False
        self._due = 0.0
        self._policy_known = False

    def questions(self) -> list[tuple[Any, ...]]:
        """Return commands to put behind others. Their answers, or the errors instead, go to ``hear``."""
        if time.monotonic() < self._due:
            return []
        return [("TIME",)] if self._policy_known else [("TIME",), ("INFO", "memory")]

    def hear(self, answers: Sequence[Any]) -> None:
        """Take the answers in. A question that the store refuses stays open."""
        now = time.monotonic()
        for answer in answers:
            if isinstance(answer, list):
                seconds, microseconds = answer
                self._distance = int(seconds) + int(microseconds) / 1_000_000 - now
                self._due = now + CLOCK_INTERVAL
                self._in_doubt = False
            elif isinstance(answer, bytes):
                self._hear_of_memory(answer.decode())

    def ask_again(self) -> None:
        """Ask for the time at the next opportunity: the next connection may lead to another server."""
        self._due, self._in_doubt = 0.0, True

    @property
    def knows_time(self) -> bool:
        """Whether the store has told its time since a connection to it was lost: messages are sealed with that."""
        return self._distance is not None and not self._in_doubt

    def seconds(self) -> float:
        """
        Return the time by the store's clock.

        Our own monotonic clock only tells how much has passed since the two were compared: that it may be
        set to another time of day, or that of another machine, decides nothing.
        """
        return time.monotonic() + (self._distance or 0.0)

    def _hear_of_memory(self, text: str) -> None:
        if self._policy_known:
            return
        self._policy_known = True
        facts = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        policy = facts.get("maxmemory_policy", "noeviction")
        if policy != "noeviction":
            logger.warning(
                "%s throws keys away when its memory is full (maxmemory-policy %s): messages and groups would vanish "
                "without a word. Set its maxmemory-policy to noeviction.",
                self._name,
                policy,
            )
