"""
Connections to one store, with several commands in one write.

redis-py connects: addresses, TLS, passwords, databases, Sentinel. Commands then go over its connections directly,
packed together and written at once, and the answers are read one after the other: the usual client calls cost
several times as much as the commands themselves.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ConnectionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,
)

from ...exceptions import ChannelLayerUnavailable
from .asides import Asides
from .scripts import Script

logger = logging.getLogger(__name__)

Command = tuple[Any, ...]

_BROKEN = (ConnectionError, TimeoutError, OSError)
# These are refusals, of which nothing has been done, although redis-py takes them for broken connections.
_REFUSED = (AuthenticationError, BusyLoadingError)
# A server that answers so is the wrong one, or is not ready: the next connection may find the right one.
_WRONG_SERVER = ("READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "UNBLOCKED")


class StoreIsFull(ChannelLayerUnavailable):
    """Is raised when the store takes nothing more for want of memory; nothing of what was asked for has been done."""


class ThreadLinks:
    """One connection for each thread that asks, made anew in a process that was forked."""

    def __init__(self, make_connection: Callable[[], Any], asides: Asides) -> None:
        self._make_connection = make_connection
        self._asides = asides
        self._own = threading.local()

    def run(self, script: Script, *arguments: Any) -> Any:
        """Run a script and return its result. Raises ``ChannelLayerUnavailable``."""
        try:
            return self.exchange([script.by_digest(arguments)])[0]
        except NoScriptError:
            return self.exchange([script.by_text(arguments)])[0]

    def exchange(self, commands: Sequence[Command]) -> list[Any]:
        """
        Write some commands at once and return their results.

        Raises ``ChannelLayerUnavailable``, which is uncertain if the commands had been written.
        """
        connection = self._connection()
        written = False
        try:
            connection.connect()
            if connection.can_read(0):
                # Nothing was asked, so this is the end of the connection: the server has closed it meanwhile.
                connection.disconnect()
                connection.connect()
            asked = [*commands, *self._asides.questions()]
            packed = connection.pack_commands(asked)
            written = True
            connection.send_packed_command(packed, check_health=False)
            answers = []
            for _ in asked:
                try:
                    answers.append(connection.read_response())
                except ResponseError as error:
                    answers.append(error)
        except BaseException as error:
            # Unread answers on this connection would be taken for those of the next commands.
            connection.disconnect()
            self._asides.ask_again()
            raise _translated(error, written) from error
        self._asides.hear(answers[len(commands) :])
        if _come_from_wrong_server(answers):
            connection.disconnect()
            self._asides.ask_again()
        return _checked(answers[: len(commands)])

    def _connection(self) -> Any:
        if getattr(self._own, "process", None) != os.getpid():
            self._own.process = os.getpid()
            self._own.connection = self._make_connection()
        return self._own.connection


class LoopLink:
    """One connection on an event loop; exchanges wait for each other."""

    def __init__(self, make_connection: Callable[[], Any], asides: Asides) -> None:
        self._connection = make_connection()
        self._asides = asides
        self._lock = asyncio.Lock()

    async def run(self, script: Script, *arguments: Any) -> Any:
        """Run a script and return its result. Raises ``ChannelLayerUnavailable``."""
        try:
            return (await self.exchange([script.by_digest(arguments)]))[0]
        except NoScriptError:
            return (await self.exchange([script.by_text(arguments)]))[0]

    async def exchange(self, commands: Sequence[Command]) -> list[Any]:
        """Do what ``ThreadLinks.exchange`` does."""
        async with self._lock:
            connection = self._connection
            written = False
            try:
                await connection.connect()
                if connection._reader.at_eof():
                    # The server has closed the connection meanwhile.
                    await connection.disconnect(nowait=True)
                    await connection.connect()
                asked = [*commands, *self._asides.questions()]
                packed = connection.pack_commands(asked)
                written = True
                await connection.send_packed_command(packed, check_health=False)
                answers = []
                for _ in asked:
                    try:
                        answers.append(await connection.read_response())
                    except ResponseError as error:
                        answers.append(error)
            except BaseException as error:
                await self.close()
                self._asides.ask_again()
                raise _translated(error, written) from error
            self._asides.hear(answers[len(commands) :])
            if _come_from_wrong_server(answers):
                await self.close()
                self._asides.ask_again()
            return _checked(answers[: len(commands)])

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.disconnect(nowait=True)


def _translated(error: BaseException, written: bool) -> BaseException:
    # With Sentinel, redis-py makes a broken connection of the refusal to write.
    if isinstance(error, _REFUSED) or isinstance(error.__context__, ReadOnlyError):
        return ChannelLayerUnavailable(f"The store refuses: {error}")
    if isinstance(error, _BROKEN):
        return ChannelLayerUnavailable(f"The store does not answer: {error}", uncertain=written)
    if isinstance(error, RedisError):
        return ChannelLayerUnavailable(f"The store cannot be used: {error}")
    return error


def _come_from_wrong_server(answers: list[Any]) -> bool:
    return any(
        isinstance(answer, ReadOnlyError)
        or (isinstance(answer, ResponseError) and str(answer).startswith(_WRONG_SERVER))
        for answer in answers
    )


def _checked(answers: list[Any]) -> list[Any]:
    """Return the answers; raise the first of them that is an error."""
    for answer in answers:
        if isinstance(answer, NoScriptError):
            raise answer
        if isinstance(answer, OutOfMemoryError):
            raise StoreIsFull(f"The store has no memory left: {answer}") from answer
        if isinstance(answer, ResponseError):
            raise ChannelLayerUnavailable(f"The store refuses: {answer}") from answer
    return answers
