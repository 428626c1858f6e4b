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
    ConnectionError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,
)

from ...exceptions import ChannelLayerUnavailable
from .script import Script

logger = logging.getLogger(__name__)

Command = tuple[Any, ...]

_BROKEN = (ConnectionError, TimeoutError, OSError)
# A server that answers so is the wrong one, or is not ready: the next connection may find the right one.
_WRONG_SERVER = ("READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN")


class ThreadLinks:
    """One connection for each thread that asks, made anew in a process that was forked."""

    def __init__(self, make_connection: Callable[[], Any]) -> None:
        self._make_connection = make_connection
        self._own = threading.local()

    def run(self, script: Script, *arguments: Any) -> Any:
        """Run a script and return its result. Raises ``ChannelLayerUnavailable``."""
        try:
            return self.exchange([script.by_digest(arguments)])[0]
        except NoScriptError:
            return self.run_text(script, arguments)

    def run_text(self, script: Script, arguments: Sequence[Any]) -> Any:
        """Run a script that the store does not know, and return its result. Raises ``ChannelLayerUnavailable``."""
        return self.exchange([script.by_text(arguments)])[0]

    def exchange(self, commands: Sequence[Command]) -> list[Any]:
        """
        Write some commands at once and return their results.

        Raises ``ChannelLayerUnavailable``, which is uncertain if the commands had been written.
        """
        return _checked(self.ask(commands))

    def ask(self, commands: Sequence[Command]) -> list[Any]:
        """Do so, and return the store's errors among the results."""
        connection = self._connection()
        written = False
        try:
            connection.connect()
            if connection.can_read(0):
                # Nothing was asked, so this is the end of the connection: the server has closed it meanwhile.
                connection.disconnect()
                connection.connect()
            packed = connection.pack_commands(commands)
            written = True
            connection.send_packed_command(packed, check_health=False)
            answers = []
            for _ in commands:
                try:
                    answers.append(connection.read_response())
                except ResponseError as error:
                    answers.append(error)
        except BaseException as error:
            # Unread answers on this connection would be taken for those of the next commands.
            connection.disconnect()
            raise _translated(error, written) from error
        if any(map(_is_from_wrong_server, answers)):
            connection.disconnect()
        return answers

    def _connection(self) -> Any:
        if getattr(self._own, "process", None) != os.getpid():
            self._own.process = os.getpid()
            self._own.connection = self._make_connection()
        return self._own.connection


class LoopLink:
    """One connection on an event loop; exchanges wait for each other."""

    def __init__(self, make_connection: Callable[[], Any]) -> None:
        self._connection = make_connection()
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
                packed = connection.pack_commands(commands)
                written = True
                await connection.send_packed_command(packed, check_health=False)
                answers = []
                for _ in commands:
                    try:
                        answers.append(await connection.read_response())
                    except ResponseError as error:
                        answers.append(error)
            except BaseException as error:
                await self.close()
                raise _translated(error, written) from error
            if any(map(_is_from_wrong_server, answers)):
                connection.mark_for_reconnect()
            return _checked(answers)

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.disconnect(nowait=True)


def refusal(answer: ResponseError) -> ChannelLayerUnavailable:
    """Return the exception for an answer that is an error."""
    error = ChannelLayerUnavailable(f"The store refuses: {answer}")
    error.__cause__ = answer
    return error


def _translated(error: BaseException, written: bool) -> BaseException:
    if isinstance(error, _BROKEN):
        return ChannelLayerUnavailable(f"The store does not answer: {error}", uncertain=written)
    if isinstance(error, RedisError):
        return ChannelLayerUnavailable(f"The store cannot be used: {error}")
    return error


def _is_from_wrong_server(answer: Any) -> bool:
    """Say whether an answer is that of a server which is the wrong one, and is to be left."""
    return isinstance(answer, ReadOnlyError) or (
        isinstance(answer, ResponseError) and str(answer).startswith(_WRONG_SERVER)
    )


def _checked(answers: list[Any]) -> list[Any]:
    """Return the answers; raise the first of them that is an error."""
    for answer in answers:
        if isinstance(answer, NoScriptError):
            raise answer
        if isinstance(answer, ResponseError):
            raise refusal(answer)
    return answers
