"""
Take the body of a request from its client, whole, before a worker hears of the request.

So a client that sends slowly holds nobody but itself, and Django knows how long the body is, however it came.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from .limits import Limits
from .spool import Buffer, Spool, SpoolFull

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


class RequestBody:
    """
    The body of one request: ``size`` in bytes, and ``content`` to take it from once it is whole.

    ``declared`` is the length that the request's head names, None if it names none.
    """

    __slots__ = ("_limits", "_patience", "content", "declared", "size")

    def __init__(self, scope: Any, spool: Spool, limits: Limits) -> None:
        self._limits = limits
        self._patience: asyncio.Timeout | None = None
        self.declared = declared_length(scope)
        self.size = 0
        self.content = Buffer(spool, limits.body_limit)

    async def read(self, receive: Callable[[], Awaitable[Any]]) -> None:
        """Read it from an ASGI server. Raises ``BodyRefused`` or ``ClientLeft``."""
        self._check_size(self.declared or 0)
        # Most requests have no body, and servers tell so at once.
        if self.declared == 0 and not await self._take(receive):
            return
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._limits.body_timeout):
                async with asyncio.timeout(WINDOW) as self._patience:
                    begun, due = loop.time(), self._limits.body_least_rate * WINDOW
                    while await self._take(receive):
                        await self.content.settle()
                        now = loop.time()
                        if now - begun >= _SHORTEST_WINDOW and self.size >= due:
                            begun, due = now, self.size + self._limits.body_least_rate * WINDOW
                            self._patience.reschedule(now + WINDOW)
        except TimeoutError as error:
            raise BodyRefused(408, "The body of the request did not come in time.") from error
        except SpoolFull as error:
            raise BodyRefused(503, "The server is busy. Please try again.") from error
        finally:
            self._patience = None

    def give_up(self) -> None:
        """Wait no longer for what is missing."""
        if self._patience is not None:
            self._patience.reschedule(asyncio.get_running_loop().time())

    async def _take(self, receive: Callable[[], Awaitable[Any]]) -> bool:
        """Take what comes next; return whether more follows."""
        event = await receive()
        if event["type"] == "http.disconnect":
            raise ClientLeft
        part = event.get("body", b"")
        self.size += len(part)
        self._check_size(self.size)
        self.content.put(part)
        return bool(event.get("more_body", False))

    def _check_size(self, size: int) -> None:
        if size > self._limits.body_limit:
            raise BodyRefused(413, f"The body of the request is larger than {self._limits.body_limit} bytes.")


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
