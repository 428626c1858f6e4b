"""
What connections to a store have in common: how commands are packed, and what its errors mean.

redis-py connects: addresses, TLS, passwords, databases, Sentinel. Then commands go over its connections directly,
packed together and written at once, and its parser takes the answers apart: the usual client calls cost several times
as much as the commands themselves.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Collection, Sequence
from typing import Any

from hiredis import Reader, pack_command
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,
    MasterDownError,
    MovedError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,
)
from redis.sentinel import MasterNotFoundError

from ...exceptions import ChannelLayerUnavailable

# Bytes are a command that is packed already.
Command = tuple[Any, ...] | bytes

_BROKEN = (ConnectionError, TimeoutError, OSError)
# The one of redis-py, and that of a socket.
_SILENCE = (TimeoutError, socket.timeout)
# These are refusals, of which nothing has been done, although redis-py takes them for broken connections.
_REFUSED = (AuthenticationError, BusyLoadingError)
# A server that answers so is the wrong one, or is not ready: the next connection may find the right one.
_WRONG_SERVER = (ReadOnlyError, MasterDownError, ClusterDownError)
# A node of a cluster answers so when keys lie in several slots, or in slots of other nodes.
_CLUSTER = ("hash to the same slot", "non local key")
# What a blocked command answers when its server has become a replica.
_UNBLOCKED = "UNBLOCKED"


class StoreIsFull(ChannelLayerUnavailable):
    """Is raised when the store takes nothing more for want of memory; nothing of what was asked for has been done."""


def readable(descriptors: Collection[int], seconds: float) -> set[int]:
    """Return which descriptors can be read as soon as one can, or none after some seconds."""
    if not descriptors:
        return set()
    if not hasattr(select, "poll"):
        # On Windows, where the other one takes descriptors of any size.
        return set(select.select(descriptors, (), (), seconds)[0])
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return {descriptor for descriptor, _ in poll.poll(seconds * 1000)}


def packed(commands: Sequence[Command]) -> bytes:
    """Return commands as they are written to the store."""
    return b"".join([command if isinstance(command, bytes) else pack_command(command) for command in commands])


def make_parser(connection: Any) -> Any:
    """Return a parser for what comes over a connection: its ``gets`` returns False when it needs more data."""
    return Reader(protocolError=ConnectionError, replyError=connection._parser.parse_error)


def failure(error: BaseException, written: bool) -> BaseException:
    """Return what to raise when an exchange has failed; it is uncertain if the commands had been ``written``."""
    # With Sentinel, redis-py makes a broken connection of the refusal to write.
    if isinstance(error, _REFUSED) or isinstance(error.__context__, ReadOnlyError):
        return ChannelLayerUnavailable(f"The store refuses: {error}")
    if isinstance(error, _BROKEN):
        # What was tried with each sentinel, and how, takes up a thousand characters.
        reason = str(error).partition(" : <")[0] if isinstance(error, MasterNotFoundError) else error
        return ChannelLayerUnavailable(f"The store does not answer: {reason}", uncertain=written)
    if isinstance(error, RedisError):
        return ChannelLayerUnavailable(f"The store cannot be used: {error}")
    return error


def is_silence(error: ChannelLayerUnavailable) -> bool:
    """Say whether a store has failed by not answering, which takes its time."""
    return isinstance(error.__cause__, _SILENCE)


def refusal(answer: ResponseError) -> ChannelLayerUnavailable:
    """Return the exception for an answer that is an error."""
    if isinstance(answer, OutOfMemoryError):
        error: ChannelLayerUnavailable = StoreIsFull(f"The store has no memory left: {answer}")
    elif isinstance(answer, MovedError) or any(words in str(answer) for words in _CLUSTER):
        error = ChannelLayerUnavailable(
            "The store is a node of a Redis cluster. All keys of a layer must lie in one slot, by braces in its prefix "
            f"(?prefix={{chat}}: in CHANNEL_LAYER_URL), and on the node that the layer is given: {answer}"
        )
    else:
        error = ChannelLayerUnavailable(f"The store refuses: {answer}")
    error.__cause__ = answer
    return error


def come_from_wrong_server(answers: Sequence[Any]) -> bool:
    """Say whether answers tell that the server is the wrong one, or is not ready."""
    for answer in answers:
        if isinstance(answer, RedisError) and (isinstance(answer, _WRONG_SERVER) or str(answer).startswith(_UNBLOCKED)):
            return True
    return False


def checked(answers: list[Any]) -> list[Any]:
    """Return the answers; raise the first of them that is an error."""
    for answer in answers:
        if isinstance(answer, NoScriptError):
            raise answer
        if isinstance(answer, ResponseError):
            raise refusal(answer)
    return answers
