"""
What the store writes in front of an entry: the time of its death, 13 decimal digits of milliseconds by its own clock.

The entry itself is what ``layers.envelope`` packs, sealed where there are keys.
"""

from __future__ import annotations

from ..envelope import UnreadableEntry

DEATH_DIGITS = 13
# The death of entries that change a membership: they are state, and do not expire.
NEVER = 10**DEATH_DIGITS - 1


def split(stored: bytes) -> tuple[int, bytes]:
    """Return when an entry dies, in milliseconds of the store's clock, and the rest. Raises ``UnreadableEntry``."""
    try:
        return int(stored[:DEATH_DIGITS]), stored[DEATH_DIGITS:]
    except ValueError as error:
        raise UnreadableEntry(f"The entry does not begin with the time of its death: {error}.") from error
