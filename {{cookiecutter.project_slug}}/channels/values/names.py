"""
Say which channel and group names are legal, and take them apart.

A name has fewer than 200 characters: ASCII letters, digits, hyphen, underscore and full stop. A channel name
may hold one mark more, which tells who reads it:

    ``http.request``        an ordinary channel: any worker
    ``http.body?Xk2``       a single-reader channel: the one process that knows its random end
    ``reply.8f3!Xk2``       a process-specific channel: the process that reads the queue ``reply.8f3!``
"""

from __future__ import annotations

import functools
import re

from ..exceptions import InvalidName

MAX_LENGTH = 199

_PLAIN = re.compile(r"[a-zA-Z0-9\-_.]+")
_CHANNEL = re.compile(r"[a-zA-Z0-9\-_.]+(?:[!?][a-zA-Z0-9\-_.]+)?")
_READABLE = re.compile(r"[a-zA-Z0-9\-_.]+(?:\?[a-zA-Z0-9\-_.]+)?")


def require_channel_name(name: str) -> str:
    """Return a name that can be sent to; raise ``InvalidName``, or ``TypeError`` for anything but text."""
    if not isinstance(name, str):
        raise _no_text(name, "channel name")
    return _require(_CHANNEL, name, "channel name", "and at most one ! or ? with something on either side")


def require_readable_name(name: str) -> str:
    """Return the name of a channel that any process may receive from; raise ``InvalidName`` or ``TypeError``."""
    if not isinstance(name, str):
        raise _no_text(name, "name to receive from")
    if "!" in name:
        raise InvalidName(
            f"{name[:220]!r} is read by one process, with read_queue({queue_of(name)[:220]!r}): "
            "receive takes messages from channels without a ! only."
        )
    return _require(_READABLE, name, "name to receive from", "and at most one ? with something on either side")


def require_group_name(name: str) -> str:
    """Return a legal group name; raise ``InvalidName``, or ``TypeError`` for anything but text."""
    if not isinstance(name, str):
        raise _no_text(name, "group name")
    return _require(_PLAIN, name, "group name", "and neither ! nor ?")


def require_pattern(pattern: str) -> str:
    """Return a pattern for ``new_channel``: a plain name that ends in ``?``."""
    if not isinstance(pattern, str):
        raise TypeError(f"A pattern for a new channel is text, not {type(pattern).__name__}.")
    if not pattern.endswith("?") or not _PLAIN.fullmatch(pattern[:-1]) or len(pattern) > MAX_LENGTH // 2:
        raise InvalidName(f"{pattern!r} is no pattern for a new channel: it must be a plain name that ends in '?'.")
    return pattern


def queue_of(channel: str) -> str:
    """Return the name under which a channel is stored and read: up to the ``!`` if it has one."""
    prefix, mark, _ = channel.partition("!")
    return prefix + mark


def local_part(channel: str) -> str:
    """Return what follows the ``!``, which the reader of the process queue has chosen."""
    return channel.partition("!")[2]


@functools.lru_cache(maxsize=10_000)
def prefix_of(channel: str) -> str:
    """Return the part that many channels share, mark included: the name by which they are counted."""
    prefix, mark, _ = channel.partition("?")
    return queue_of(prefix + mark)


def _no_text(name: object, kind: str) -> TypeError:
    return TypeError(f"A {kind} is text, not {type(name).__name__}.")


@functools.lru_cache(maxsize=10_000)
def _require(pattern: re.Pattern[str], name: str, kind: str, marks: str) -> str:
    if len(name) > MAX_LENGTH or not pattern.fullmatch(name):
        raise InvalidName(
            f"{name[:220]!r} is no valid {kind}: use fewer than {MAX_LENGTH + 1} ASCII letters, digits, "
            f"hyphens, underscores and full stops, {marks}."
        )
    return name
