"""
Take the body of a request from its client, whole, before a worker hears of the request.

So a client that sends slowly holds nobody but itself, and Django knows how long the body is, however it came.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

from ..values.turn import Turn
from .http import BUSY
from .limits import Limits
from .spool import Buffer, Spool, SpoolFailed

# In each so many seconds a client has to send what ``body_least_rate`` asks for.
WINDOW = 20.0
# A new window is not begun more often than this, in seconds.
_SHORTEST_WINDOW = 1.0


class BodyRefused(Exception):
    """Is raised for a body that is not taken: ``status`` and a sentence for the client."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class ClientLeft(Exception):
    """Is raised when the client has left before its body was whole."""


class Arrival:
    """
    What a body may come to, and until when more of it must have come: ``deadline``, in the seconds of the event loop.

    In each window of ``WINDOW`` seconds the client has to send what ``body_least_rate`` asks for.
    """

    __slots__ = ("_begun", "_due", "_limits", "deadline", "size")

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self._begun = now
        self.size = 0
        self.deadline = 0.0
        self._begin_window(now)

    def add(self, size: int, now: float) -> None:
        """Take note of so many bytes more. Raises ``BodyRefused`` if they are too many."""
        self.size += size
        check_size(self.size, self._limits)
        if self.size >= self._due and now > self.deadline - WINDOW + _SHORTEST_WINDOW:
            self._begin_window(now)

    def _begin_window(self, now: float) -> None:
        self._due = self.size + self._limits.body_least_rate * WINDOW
        self.deadline = min(now + WINDOW, self._begun + self._limits.body_timeout)


class RequestBody:
    """
    The body of one request: ``size`` in bytes, and ``content`` to take it from once it is whole.

    ``declared`` is the length that the request's head names, None if it names none.
    """

    __slots__ = ("_is_given_up", "_limits", "_patience", "content", "declared", "size")

    def __init__(self, scope: Any, spool: Spool, limits: Limits) -> None:
        self._limits = limits
        self._patience: asyncio.Timeout | None = None
        self._is_given_up = False
        self.declared = declared_length(scope)
        self.size = 0
        self.content = Buffer(spool, limits.body_limit)

    async def read(self, receive: Callable[[], Awaitable[Any]]) -> None:
        """Read it from an ASGI server. Raises ``BodyRefused`` or ``ClientLeft``."""
        check_size(self.declared or 0, self._limits)
        # Most requests have no body, and servers tell so at once.
        if self.declared == 0 and not await self._take(receive):
            return
        loop = asyncio.get_running_loop()
        arrival, turn = Arrival(self._limits, loop.time()), Turn(loop.time)
        try:
            async with asyncio.timeout_at(arrival.deadline) as self._patience:
                more = True
                while more and not self._is_given_up:
                    before, deadline = self.size, arrival.deadline
                    more = await self._take(receive)
                    arrival.add(self.size - before, loop.time())
                    await self.content.settle()
                    if turn.is_over:
                        await turn.give_way()
                    if arrival.deadline != deadline and not self._is_given_up:
                        self._patience.reschedule(arrival.deadline)
        except TimeoutError as error:
            raise too_slow() from error
        except SpoolFailed as error:
            raise no_room() from error
        finally:
            self._patience = None
        if self._is_given_up:
            raise too_slow()

    def give_up(self) -> None:
        """Wait no longer for what is missing."""
        self._is_given_up = True
        if self._patience is not None and not self._patience.expired():
            self._patience.reschedule(asyncio.get_running_loop().time())

    async def chunks(self, size: int) -> AsyncIterator[bytes]:
        """Iterate over the body, once, in parts of ``size``; the last one may be smaller. Raises ``SpoolFailed``."""
        data = b""
        while data or self.content.size:
            while len(data) < size and self.content.size:
                data += await self.content.get()
            yield data[:size]
            data = data[size:]

    async def _take(self, receive: Callable[[], Awaitable[Any]]) -> bool:
        """Take what comes next; return whether more follows."""
        event = await receive()
        if event["type"] == "http.disconnect":
            raise ClientLeft
        part = event.get("body", b"")
        self.size += len(part)
        self.content.put(part)
        return bool(event.get("more_body", False))


def check_size(size: int, limits: Limits) -> None:
    """Raise ``BodyRefused`` for a body, or what has come of it, above the limit."""
    if size > limits.body_limit:
        raise BodyRefused(413, f"The body of the request is larger than {limits.body_limit} bytes.")


def too_slow() -> BodyRefused:
    """Return the refusal of a body whose deadline has passed."""
    return BodyRefused(408, "The body of the request did not come in time.")


def no_room() -> BodyRefused:
    """Return the refusal of a body that there is no room for."""
    return BodyRefused(503, BUSY)


def declared_length(scope: Any) -> int | None:
    """Return the length of the body as the head of a request gives it; None where it does not."""
    may_be_any = not scope.get("http_version", "1.1").startswith("1")
    for name, value in scope.get("headers", ()):
        lower = name.lower()
        if lower == b"content-length":
            return int(value) if value.isdigit() and len(value) < 20 else None
        may_be_any = may_be_any or lower == b"transfer-encoding"
    # In HTTP/1 a request without either has no body (RFC 9112, section 6.3).
    return None if may_be_any else 0


def headers_with_length(headers: Iterable[tuple[bytes, bytes]], size: int) -> list[list[bytes]]:
    """
    Return the headers of a request whose body has been taken whole: they name its length.

    Whoever takes the chunks apart says so in the head (RFC 9112, section 7.1.3).
    """
    kept = [[name, value] for name, value in headers if name not in (b"transfer-encoding", b"content-length")]
    return [*kept, [b"content-length", b"%d" % size]]
