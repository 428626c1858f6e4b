"""Connections to one store for threads: several commands in one write, and their answers."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

from redis.exceptions import ConnectionError, NoScriptError

from ...exceptions import ChannelLayerUnavailable
from .asides import Asides
from .connections import Command, checked, come_from_wrong_server, failure, make_parser, packed, readable
from .scripts import Script

_READ_SIZE = 2**16


class ThreadConnections:
    """One connection for each thread that asks, made anew in a process that was forked."""

    def __init__(self, make_connection: Callable[[], Any], asides: Asides) -> None:
        self._make_connection = make_connection
        self._asides = asides
        self._by_thread = threading.local()

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
        return checked(self.ask(commands))

    def learn_time(self) -> None:
        """Ask the store for its time, unless it is known. Raises ``ChannelLayerUnavailable``."""
        # A connection that was lost meanwhile is only noticed when it is looked at.
        self.own()
        if self._asides.knows_time:
            return
        try:
            self._asides.hear(self.exchange([("TIME",)]))
        except ChannelLayerUnavailable as error:
            # Whatever it is needed for has not been asked for yet.
            error.uncertain = False
            raise

    def ask(self, commands: Sequence[Command]) -> list[Any]:
        """Do so, and return the store's errors among the results."""
        asides = self._asides.questions()
        connection = self.begin([*commands, *asides])
        answers = self.finish(connection, len(commands) + len(asides))
        if asides:
            self._asides.hear(answers[len(commands) :])
            del answers[len(commands) :]
        return answers

    def begin(self, commands: Sequence[Command], identify: bool = False) -> ThreadConnection:
        """
        Write commands; ``finish`` is to read as many answers from the connection that is returned.

        With ``identify`` the connection has an ``identity`` then.
        """
        connection = self.own()
        written = False
        try:
            if not connection.is_open:
                connection.open()
            if identify:
                connection.identify()
            data = packed(commands)
            written = True
            connection.write(data)
        except BaseException as error:
            self.leave(connection)
            raise failure(error, written) from error
        return connection

    def finish(self, connection: ThreadConnection, count: int) -> list[Any]:
        """Read some answers, which may be errors of the store."""
        try:
            answers = connection.read(count)
        except BaseException as error:
            # Unread answers on this connection would be taken for those of the next commands.
            self.leave(connection)
            raise failure(error, written=True) from error
        if come_from_wrong_server(answers):
            self.leave(connection)
        return answers

    def leave(self, connection: ThreadConnection) -> None:
        """Close a connection; the next one may lead to another server."""
        connection.close()
        self._asides.ask_again()

    def own(self) -> ThreadConnection:
        """Return the connection of this thread, closed if the store has closed it."""
        own = self._by_thread
        process = os.getpid()
        if getattr(own, "process", None) != process:
            own.process = process
            own.connection = ThreadConnection(self._make_connection())
        connection: ThreadConnection = own.connection
        if connection.is_lost:
            self.leave(connection)
        return connection


class ThreadConnection:
    """One connection, which is made when it is first needed."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.is_open = False
        # Of the open connection.
        self.descriptor = -1
        # The number by which the store knows the open connection, once it was asked for.
        self.identity = 0
        # Since when an answer is due that is read at a later turn, by the monotonic clock; 0.0 if none is.
        self.pending_since = 0.0
        self._socket: Any = None
        self._parser: Any = None

    @property
    def is_lost(self) -> bool:
        """Whether the store has closed the connection: when no answer is due, whatever can be read is its end."""
        return self.is_open and not self.pending_since and bool(readable((self.descriptor,), 0.0))

    def open(self) -> None:
        """Connect."""
        self._connection.connect()
        self._parser = make_parser(self._connection)
        self._socket = self._connection._sock
        self.is_open, self.descriptor = True, self._socket.fileno()

    def identify(self) -> None:
        """Ask the store for its number of this connection, unless it is known."""
        if not self.identity:
            self.write(packed([("CLIENT", "ID")]))
            [self.identity] = self.read(1)

    def write(self, data: bytes) -> None:
        """Write commands."""
        self._socket.sendall(data)

    def read(self, count: int) -> list[Any]:
        """Wait for so many answers, which may be errors of the store."""
        answers: list[Any] = []
        while len(answers) < count:
            answer = self._parser.gets()
            if answer is False:
                data = self._socket.recv(_READ_SIZE)
                if not data:
                    raise ConnectionError("The store has closed the connection.")
                self._parser.feed(data)
            elif isinstance(answer, ConnectionError):
                raise answer
            else:
                answers.append(answer)
        return answers

    def close(self) -> None:
        """Close the connection."""
        self.is_open, self.identity, self.pending_since = False, 0, 0.0
        self._connection.disconnect()
