"""
The events on their way to one client.

Each connection has its own queue and, while its server waits for the client, its own task that sends. So a client that
reads slowly holds nobody up but itself.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from ..values.turn import Turn
from .scope import Event
from .spool import Buffer

logger = logging.getLogger(__name__)

# From Python 3.12 on a task can begin at once, and most end at once too: servers take most events without waiting,
# and to schedule a task costs more than the sending.
_TASK_OPTIONS: dict[str, Any] = {"eager_start": True} if sys.version_info >= (3, 12) else {}

# What a server gives an application to send events with.
ServerSend = Callable[[Event], Awaitable[None]]


class Sender:
    """What both kinds of outbox share: a task that sends while there is something to send."""

    __slots__ = ("_send", "_task", "is_sending")

    def __init__(self, send: ServerSend) -> None:
        self._send = send
        # True while events are being sent; the task is there when that has had to wait for the client.
        self.is_sending = False
        self._task: asyncio.Task[None] | None = None

    async def drained(self, patience: float | None = None) -> None:
        """Wait until everything has been sent, or the sending has been stopped, or for so many seconds."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=patience)

    def cancel(self) -> None:
        """Stop sending."""
        self.clear()
        if self._task is not None:
            self._task.cancel()

    def _start_sending(self) -> None:
        if not self.is_sending:
            self.is_sending = True
            task = asyncio.Task(self._drain(), loop=asyncio.get_running_loop(), **_TASK_OPTIONS)
            self._task = None if task.done() else task

    async def _drain(self) -> None:
        try:
            await self._send_all()
        except Exception as error:
            self.clear()
            self._fail(error)
        finally:
            self.is_sending = False
            self._task = None

    async def _send_all(self) -> None:
        raise NotImplementedError

    def clear(self) -> None:
        """Forget what waits."""
        raise NotImplementedError

    def _fail(self, error: Exception) -> None:
        # Servers raise various errors when the client has gone; its disconnect event tells the rest.
        logger.debug("Sending to a client failed: %r", error)


class Outbox(Sender):
    """
    The events for a socket, in front of a server's ``send``.

    ``max_size`` is the number of bytes, ``max_length`` the number of events that may wait.
    """

    __slots__ = ("_events", "_max_length", "_max_size", "_size")

    def __init__(self, send: ServerSend, max_size: int, max_length: int) -> None:
        super().__init__(send)
        self._max_size = max_size
        self._max_length = max_length
        # A list, for there are few events in it, and most of the time none: an empty deque takes ten times the memory.
        self._events: list[Event] = []
        self._size = 0

    def put(self, event: Event) -> bool:
        """Queue an event; return False, and queue nothing, if there is no room."""
        size = size_of(event)
        # An empty queue takes anything, or an event above the limit could never be sent.
        if self._events and (self._size + size > self._max_size or len(self._events) >= self._max_length):
            return False
        self._events.append(event)
        self._size += size
        self._start_sending()
        return True

    async def _send_all(self) -> None:
        # Most have one event to send, and need none.
        turn = None
        while self._events:
            event = self._events.pop(0)
            self._size = self._size - size_of(event) if self._events else 0
            await self._send(event)
            if self._events:
                turn = turn or Turn(asyncio.get_running_loop().time)
                if turn.is_over:
                    await turn.give_way()

    def clear(self) -> None:
        """Forget what waits."""
        self._events.clear()
        self._size = 0


class ResponseOutbox(Sender):
    """
    The events of one response.

    Its content lies in a ``buffer``; ``on_failure`` is told why a server does not take an event.
    """

    __slots__ = ("_head", "_on_failure", "_whole", "buffer", "given", "has_begun", "is_over")

    def __init__(self, send: ServerSend, buffer: Buffer, on_failure: Callable[[Exception], None]) -> None:
        super().__init__(send)
        self.buffer = buffer
        self._on_failure = on_failure
        self._head: Event | None = None
        # Whether the end of the response has come.
        self._whole = False
        # Whether the server has been given anything, how many parts, and whether that was everything.
        self.has_begun = self.is_over = False
        self.given = 0

    def put(self, event: Event) -> None:
        """Queue an event."""
        if event["type"] == "http.response.start":
            self._head = event
            return
        self.buffer.put(event["body"])
        self._whole = not event["more_body"]
        self._start_sending()

    async def _send_all(self) -> None:
        if self._head is not None:
            head, self._head, self.has_begun = self._head, None, True
            await self._send(head)
            # Servers may keep the start until a first part of the content comes, be it ever so little.
            await self._send_part()
        turn = None
        while not self.is_over and (self.buffer.size or self._whole):
            turn = turn or Turn(asyncio.get_running_loop().time)
            if turn.is_over:
                await turn.give_way()
            await self._send_part()

    async def _send_part(self) -> None:
        data = await self.buffer.get()
        self.is_over = self._whole and not self.buffer.size
        self.given += 1
        await self._send({"type": "http.response.body", "body": data, "more_body": not self.is_over})

    def clear(self) -> None:
        """Forget what waits."""
        self.buffer.close()

    def _fail(self, error: Exception) -> None:
        self._on_failure(error)


def size_of(event: Event) -> int:
    """Return what an event of a socket comes to in bytes."""
    text = event.get("text")
    if text is None:
        return len(event.get("bytes") or b"")
    return len(text) if text.isascii() else len(text.encode())
