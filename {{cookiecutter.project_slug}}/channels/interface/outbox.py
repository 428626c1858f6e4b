"""
The events on their way to one client.

Each connection has its own bounded queue and, while its server waits for the client, its own task that sends. So a
client that reads slowly holds nobody up but itself.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from ..turn import Turn

logger = logging.getLogger(__name__)

# From Python 3.12 on a task can begin at once, and most end at once too: servers take most events without waiting,
# and to schedule a task costs more than the sending.
_TASK_OPTIONS: dict[str, Any] = {"eager_start": True} if sys.version_info >= (3, 12) else {}

Event = dict[str, Any]
Send = Callable[[Event], Awaitable[None]]


class Outbox:
    """
    A queue of ASGI events in front of a server's ``send``.

    ``max_size`` is the number of bytes, ``max_length`` the number of events that may wait. ``on_sent`` is
    called with each event after the server has taken it.
    """

    __slots__ = ("_events", "_max_length", "_max_size", "_on_sent", "_send", "_sending", "_size", "_task")

    def __init__(
        self, send: Send, max_size: int, max_length: int, on_sent: Callable[[Event], None] | None = None
    ) -> None:
        self._send = send
        self._max_size = max_size
        self._max_length = max_length
        self._on_sent = on_sent
        # A list, for there are few events in it, and most of the time none: an empty deque takes ten times the memory.
        self._events: list[Event] = []
        self._size = 0
        # True while events are being sent; the task is there when that has had to wait.
        self._sending = False
        self._task: asyncio.Task[None] | None = None

    def put(self, event: Event) -> bool:
        """Queue an event; return False, and queue nothing, if there is no room."""
        size = _size(event)
        # An empty queue takes anything, or an event above the limit could never be sent.
        if self._events and (self._size + size > self._max_size or len(self._events) >= self._max_length):
            return False
        self._events.append(event)
        self._size += size
        if not self._sending:
            self._sending = True
            self._task = _start(self._drain())
        return True

    def replace(self, event: Event) -> None:
        """Forget what waits and queue this event instead."""
        self._events.clear()
        self._size = 0
        self.put(event)

    async def drained(self) -> None:
        """Wait until everything has been sent, or the sending has been stopped."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def cancel(self) -> None:
        """Stop sending."""
        self._events.clear()
        if self._task is not None:
            self._task.cancel()

    async def _drain(self) -> None:
        # Most have one event to send, and need none.
        turn = None
        try:
            while self._events:
                event = self._events.pop(0)
                self._size -= _size(event)
                await self._send(event)
                if self._on_sent is not None:
                    self._on_sent(event)
                if self._events:
                    turn = turn or Turn(asyncio.get_running_loop().time)
                    if turn.is_over:
                        await turn.give_way()
        except Exception as error:
            # Servers raise various errors when the client has gone; its disconnect event tells the rest.
            logger.debug("Sending to a client failed: %r", error)
            self._events.clear()
            self._size = 0
        finally:
            self._sending = False
            self._task = None


def _start(coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
    """Have a coroutine run; return its task, or None if it has ended already."""
    task = asyncio.Task(coroutine, loop=asyncio.get_running_loop(), **_TASK_OPTIONS)
    return None if task.done() else task


def _size(event: Event) -> int:
    data = event.get("text") or event.get("bytes") or event.get("body") or b""
    return len(data)
