"""Choose channels by shell patterns."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable


def filter_channels(
    channels: Iterable[str], only: Iterable[str] | None = None, exclude: Iterable[str] | None = None
) -> list[str]:
    """Return the channels that match a pattern in ``only``, if there are any there, and none in ``exclude``."""
    only, exclude = list(only or ["*"]), list(exclude or [])
    return sorted(channel for channel in channels if _matches(channel, only) and not _matches(channel, exclude))


def idle_patterns(channels: Iterable[str], patterns: Iterable[str] | None) -> list[str]:
    """Return the patterns that match none of the channels: most likely they are misspelt."""
    channels = list(channels)
    return [pattern for pattern in patterns or [] if not any(_matches(channel, [pattern]) for channel in channels)]


def _matches(channel: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(channel, pattern) for pattern in patterns)
