"""The limits of an interface server, from the setting ``CHANNELS_INTERFACE``."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from ..exceptions import InvalidChannelLayerError
from ..layers.content import MAX_SESSION_SIZE

# What the whole path of a request may be behind the prefix of the site.
_PATH = re.compile(r"/[^?#]*")
# What is set by settings of its own, since workers need it, too.
NO_KEYS = {"session_size", "recheck_period"}


@dataclass(frozen=True, slots=True)
class Limits:
    """What an interface server allows. Times are seconds, sizes are bytes."""

    # Without the beginning of an answer after this time a request gets status 503.
    http_timeout: float = 120.0
    # Without an answer to its connect message after this time a socket is rejected.
    handshake_timeout: float = 5.0
    # So long a message from a client waits for room in its channel; nothing more is read from the client meanwhile.
    full_timeout: float = 10.0
    # So long a message from an open socket waits for a channel layer that cannot be reached, before that is closed.
    outage_timeout: float = 10.0
    # A request with a larger body gets status 413.
    body_limit: int = 100 * 2**20
    # A body that comes more slowly, in bytes a second, or takes longer than that in all, is answered with status 408.
    body_least_rate: float = 500.0
    body_timeout: float = 1800.0
    # A request body up to this size travels in the request message, a larger one in chunks of this size; smaller ones
    # where the layer takes only smaller messages.
    body_chunk_size: int = 512 * 1024
    # Bodies, and responses whose clients read slowly, are kept in memory up to this size, all of them together, and
    # then in temporary files up to this size.
    spool_memory: int = 32 * 2**20
    spool_size: int = 2**30
    # So many messages of one socket may be with the workers at a time. Nothing more is read from it meanwhile.
    messages_under_way: int = 1
    # What may wait for a slow socket, in bytes and in messages, before it is closed with 1013.
    socket_outbox_size: int = 2**20
    socket_outbox_length: int = 1000
    # What may wait in a file for the slow client of a response before its worker waits too.
    response_limit: int = 256 * 2**20
    # A client that takes nothing of its response for so long loses it, and after a minute where others find no room.
    response_timeout: float = 600.0
    # What may wait for the slow client of a response that comes through a group, before it is cut off.
    response_outbox_size: int = 16 * 2**20
    # At a planned stop, requests that are being answered get so long to end, and then consumers to be told of that.
    stop_grace: float = 5.0
    # Where load balancers ask whether this process serves, and whether it should get new clients; empty: nowhere.
    live_path: str = "/livez"
    ready_path: str = "/readyz"
    # Without a worker for each of these channels it should not.
    ready_channels: Sequence[str] = ("http.request", "websocket.connect")
    # Whether the header Daphne-Root-Path names the root path. No client may be able to send it.
    trust_root_path_header: bool = False

    # What a channel session may come to: the setting CHANNEL_SESSION_SIZE, which workers know, too.
    session_size: int = MAX_SESSION_SIZE
    # So often consumers look at each socket whose user is signed in: CHANNELS_SOCKETS_FOLLOW_ACCOUNT; zero: never.
    recheck_period: float = 0.0

    @classmethod
    def from_settings(cls, settings: Any) -> Limits:
        """Read the setting. Raises ``InvalidChannelLayerError`` for a name or a value that makes no sense."""
        chosen = dict(getattr(settings, "CHANNELS_INTERFACE", {}))
        defaults = {field.name: field.default for field in fields(cls) if field.name not in NO_KEYS}
        for name, value in chosen.items():
            if name not in defaults:
                raise InvalidChannelLayerError(
                    f"CHANNELS_INTERFACE has the unknown key {name!r}; expected {', '.join(defaults)}."
                )
            if expected := _expected(value, defaults[name], least=1 if name == "messages_under_way" else 0):
                raise InvalidChannelLayerError(f"CHANNELS_INTERFACE[{name!r}] is {value!r}; expected {expected}.")
        period = getattr(settings, "CHANNELS_SOCKETS_FOLLOW_ACCOUNT", 0.0)
        if expected := _expected(period, 0.0, least=0):
            raise InvalidChannelLayerError(f"CHANNELS_SOCKETS_FOLLOW_ACCOUNT is {period!r}; expected {expected}.")
        size = getattr(settings, "CHANNEL_SESSION_SIZE", MAX_SESSION_SIZE)
        return cls(**chosen, session_size=size, recheck_period=period)


def _expected(value: Any, default: Any, least: int) -> str:
    """Return what should stand there instead of a value, nothing if it is of the kind of the default."""
    if isinstance(default, bool):
        return "" if isinstance(value, bool) else "True or False"
    if isinstance(default, str):
        is_path = isinstance(value, str) and (not value or _PATH.fullmatch(value))
        return "" if is_path else "a path that begins with a slash, or '' for none"
    if isinstance(default, tuple):
        is_list = isinstance(value, list | tuple) and all(isinstance(each, str) for each in value)
        return "" if is_list else "a list of channels"
    number = int if isinstance(default, int) else (int, float)
    # True and False are numbers, too.
    if isinstance(value, number) and not isinstance(value, bool) and least <= value < math.inf:
        return ""
    return f"{'a whole number' if number is int else 'a number'}, {least} or more"
