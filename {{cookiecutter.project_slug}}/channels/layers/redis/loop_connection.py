"""One connection to a store on an event loop: answers are taken apart as they come, without a task that waits."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from redis.exceptions import ConnectionError, NoScriptError, TimeoutError

from ...exceptions import ChannelLayerUnavailable
from .asides import Asides
from .connections import Command, checked, come_from_wrong_server, failure, make_parser, packed
from .scripts import Script


class LoopConnection(asyncio.Protocol):
    """A connection that is made when it is first needed. Exchanges may be under way at the same time."""

    def __init__(self, make_connection: Callable[[], Any], asides: Asides) -> None:
        self._connection = make_connection()
        self.asides = asides
        self._connecting = asyncio.Lock()
        self._transport: Any = None
        self._parser: Any = None
        self._exchanges: deque[_Exchange] = deque()
        # Runs while answers are due. Its limit is that of redis-py's connection, in seconds.
        self._timer: asyncio.TimerHandle | None = None

    async def run(self, script: Script, *arguments: Any) -> Any:
        """Run a script and return its result. Raises ``ChannelLayerUnavailable``."""
        try:
            return (await self.exchange([script.by_digest(arguments)]))[0]
        except NoScriptError:
            return (await self.exchange([script.by_text(arguments)]))[0]

    async def exchange(self, commands: Sequence[Command]) -> list[Any]:
        """
        Write some commands at once and return their results.

        Raises ``ChannelLayerUnavailable``, which is uncertain if the commands had been written.
        """
        if self._transport is None:
            await self._connect()
        loop = asyncio.get_running_loop()
        asides = self.asides.questions()
        exchange = _Exchange(loop.create_future(), len(commands), len(commands) + len(asides), loop.time())
        data = packed([*commands, *asides])
        self._exchanges.append(exchange)
        self._transport.write(data)
        if self._timer is None:
            self._watch(loop)
        return checked(await exchange.done)

    async def learn_time(self) -> None:
        """Ask the store for its time, unless it is known. Raises ``ChannelLayerUnavailable``."""
        if self.asides.knows_time:
            return
        try:
            self.asides.hear(await self.exchange([("TIME",)]))
        except ChannelLayerUnavailable as error:
            # Whatever it is needed for has not been asked for yet.
            error.uncertain = False
            raise

    def close(self) -> None:
        """Close the connection; what is under way fails."""
        self._end(ConnectionError("The connection was closed."))

    async def _connect(self) -> None:
        async with self._connecting:
            if self._transport is not None:
                return
            try:
                await self._connection.connect()
            except BaseException as error:
                await self._connection.disconnect(nowait=True)
                raise failure(error, written=False) from error
            self._parser = make_parser(self._connection)
            self._transport = self._connection._writer.transport
            self._transport.set_protocol(self)

    # From the transport

    def data_received(self, data: bytes) -> None:
        """Take answers, or parts of them."""
        self._parser.feed(data)
        while self._exchanges and (answer := self._parser.gets()) is not False:
            if isinstance(answer, ConnectionError):
                self._end(answer)
                return
            exchange = self._exchanges[0]
            exchange.answers.append(answer)
            if len(exchange.answers) == exchange.expected:
                self._exchanges.popleft()
                self._finish(exchange)

    def connection_lost(self, error: Exception | None) -> None:
        """Learn that the store has gone."""
        why = "." if error is None else f": {error}"
        self._end(ConnectionError(f"The store has closed the connection{why}"))

    def eof_received(self) -> None:
        """Learn that the store will send nothing more; the transport closes."""

    def _finish(self, exchange: _Exchange) -> None:
        answers = exchange.answers
        if len(answers) > exchange.asked:
            self.asides.hear(answers[exchange.asked :])
            del answers[exchange.asked :]
        if come_from_wrong_server(answers):
            self.close()
        # Who waits for it may have been cancelled.
        if not exchange.done.done():
            exchange.done.set_result(answers)

    # The end

    def _end(self, error: Exception) -> None:
        if self._transport is None:
            return
        transport, self._transport = self._transport, None
        exchanges, self._exchanges = self._exchanges, deque()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        transport.abort()
        self._connection._reader = self._connection._writer = None
        self.asides.ask_again()
        for exchange in exchanges:
            if not exchange.done.done():
                failed = failure(error, written=True)
                failed.__cause__ = error
                exchange.done.set_exception(failed)

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close a connection whose answers do not come."""
        limit = self._connection.socket_timeout
        if limit is None or not self._exchanges:
            self._timer = None
            return
        left = self._exchanges[0].since + limit - loop.time()
        if left > 0:
            self._timer = loop.call_later(left, self._watch, loop)
        else:
            self._timer = None
            self._end(TimeoutError(f"The store has not answered for {limit} s."))


class _Exchange:
    __slots__ = ("answers", "asked", "done", "expected", "since")

    def __init__(self, done: asyncio.Future[list[Any]], asked: int, expected: int, since: float) -> None:
        self.done = done
        # How many answers are for who asked; the asides follow.
        self.asked = asked
        self.expected = expected
        self.since = since
        self.answers: list[Any] = []
