"""
Take the bodies of daphne's requests within the limits.

Twisted reads a body whole before daphne hears of the request, into memory or a temporary file, of any size and at any
pace; daphne then puts all of it into a queue. Here the limits hold, and the body stays where it is until it is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from ..limits import Limits
from ..request_body import Arrival, BodyRefused, check_size, no_room, too_slow
from ..spool import BLOCK_SIZE, Spool


def limited_request(limits: Limits, spool: Spool) -> Any:
    """Return daphne's class of requests, with limits on their bodies, and on the room for all of them."""
    from daphne.http_protocol import WebRequest

    class LimitedRequest(WebRequest):  # type: ignore[misc]
        """A request whose body is limited in size and time, and read from its file when it is asked for."""

        content: Any
        # Runs while the body comes.
        _timer: asyncio.TimerHandle | None = None
        _is_refused = False
        # The blocks of the spool that Twisted's file counts for.
        _taken = 0

        def gotLength(self, length: int | None) -> None:
            super().gotLength(length)
            loop = asyncio.get_running_loop()
            self._arrival = Arrival(limits, loop.time())
            if length != 0:
                self._timer = loop.call_at(self._arrival.deadline, self._check_pace)
                self._guarded(check_size, length or 0, limits)

        def handleContentChunk(self, data: bytes) -> None:
            if self._timer is not None:
                super().handleContentChunk(data)
                self._guarded(self._add, len(data))

        def requestReceived(self, *arguments: Any) -> None:
            self._stop_timer()
            if not self._is_refused:
                super().requestReceived(*arguments)

        def connectionLost(self, reason: Any) -> None:
            self._stop_timer()
            self._give_back()
            super().connectionLost(reason)

        def finish(self) -> None:
            self._give_back()
            super().finish()

        def process(self) -> Any:
            # What daphne reads it puts into a queue at once, all of it.
            self.content = _Withheld(self.content)
            return super().process()

        def _add(self, size: int) -> None:
            self._arrival.add(size, asyncio.get_running_loop().time())
            while self._taken < self._arrival.size // BLOCK_SIZE:
                if not spool.take_file():
                    raise no_room()
                self._taken += 1

        def _give_back(self) -> None:
            spool.give(file=self._taken)
            self._taken = 0

        def _check_pace(self) -> None:
            loop = asyncio.get_running_loop()
            if loop.time() < self._arrival.deadline:
                self._timer = loop.call_at(self._arrival.deadline, self._check_pace)
            else:
                self._refuse(too_slow())

        def _guarded(self, check: Callable[..., None], *arguments: Any) -> None:
            try:
                check(*arguments)
            except BodyRefused as error:
                self._refuse(error)

        def _refuse(self, error: BodyRefused) -> None:
            """Answer before the body is whole, which Twisted has no way to do, and close the connection."""
            self._stop_timer()
            self._is_refused = True
            if self.channel.transport is None:
                # One of several streams of HTTP/2.
                self.channel.abortConnection()
                return
            text = f"{error}\n".encode()
            head = f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\nContent-Length: {len(text)}\r\n"
            self.channel.transport.write(f"{head}Content-Type: text/plain\r\nConnection: close\r\n\r\n".encode() + text)
            self.channel.loseConnection()

        def _stop_timer(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    return LimitedRequest


class _Withheld:
    """A body that daphne takes for empty. ``file`` has it."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def seek(self, *arguments: Any) -> None:
        self.file.seek(*arguments)

    def read(self, size: int = -1) -> bytes:
        # The handshake of a WebSocket is read whole, and handed on with what has come after it.
        return self.file.read() if size < 0 else b""

    def close(self) -> None:
        self.file.close()

    @property
    def closed(self) -> bool:
        return self.file.closed  # type: ignore[no-any-return]


def receive_of(request: Any, receive: Any) -> Any:
    """Return the ``receive`` of one of daphne's requests, which reads the body from its file."""
    if isinstance(request.content, _Withheld):
        return BodyReceive(receive, request.content.file)
    return receive


class BodyReceive:
    """The ``receive`` of a request whose body lies in a file."""

    def __init__(self, receive: Any, file: Any) -> None:
        self._receive = receive
        self._file = file
        self._has_begun = False

    async def __call__(self) -> Any:
        """Return the next event."""
        if self._file is None:
            return await self._receive()
        if not self._has_begun:
            self._has_begun = True
            event = await self._receive()
            if event["type"] != "http.request":
                self._file = None
                return event
        if self._file.closed:
            # Twisted closes it when the client leaves.
            self._file = None
            return {"type": "http.disconnect"}
        data = self._file.read(BLOCK_SIZE)
        if len(data) < BLOCK_SIZE:
            self._file = None
        return {"type": "http.request", "body": data, "more_body": self._file is not None}
