"""Connect one WebSocket of an ASGI server with the channel layer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ..layers.base import Content
from .dispatch import dispatch
from .outbox import Outbox
from .websocket import Event, Scope, State, WebSocket

if TYPE_CHECKING:
    from .process import InterfaceProcess

logger = logging.getLogger(__name__)

GOING_AWAY = 1012
TRY_AGAIN_LATER = 1013
# A client that does not take even the close frame is cut off after this time, in seconds.
CLOSE_TIMEOUT = 10.0


class SocketConnection:
    """One WebSocket: drives its state machine with what comes from both sides."""

    __slots__ = ("_answered", "_dispatching", "_outbox", "_process", "_receive", "_socket", "_task", "_timer")

    def __init__(self, process: InterfaceProcess, scope: Scope, receive: Any, send: Any) -> None:
        self._process = process
        self._receive = receive
        self._socket = WebSocket(scope["path"], process.replies.new_channel())
        limits = process.limits
        self._outbox = Outbox(send, limits.socket_outbox_size, limits.socket_outbox_length)
        self._task: asyncio.Task[Any] | None = None
        # Runs while the socket waits for an answer to its connect message, and again while it closes.
        self._timer: asyncio.TimerHandle | None = None
        # Set while a frame of a socket that is not accepted yet has to wait for that.
        self._answered: asyncio.Future[None] | None = None
        # True while a frame is on its way into the layer: the disconnect message must not overtake it.
        self._dispatching = False

    async def run(self, scope: Scope) -> None:
        """Serve the socket until it has ended."""
        self._task = asyncio.current_task()
        await self._receive()
        self._process.replies.register(self._socket.reply_channel, self)
        try:
            await self._converse(scope)
        except asyncio.CancelledError:
            if self._socket.state is not State.CLOSED:
                # The server is stopping. Where it has not told the client so, we do.
                self._perform(self._socket.close(GOING_AWAY))
        finally:
            self._socket.leave(1006)
            self._end()
            await self._outbox.drained()
            if self._socket.state is State.CLOSED:
                self._cancel_timer()

    async def _converse(self, scope: Scope) -> None:
        if self._process.stopping or not await self._connect(scope):
            await self._refuse(scope)
            return
        while True:
            event = await self._receive()
            if event["type"] == "websocket.disconnect":
                self._socket.leave(event.get("code") or 1005)
                return
            await self._take_frame(event)

    async def _connect(self, scope: Scope) -> bool:
        self._start_timer(self._process.limits.handshake_timeout, self._handshake_expired)
        return await dispatch(self._process.layer, "websocket.connect", self._socket.connect_message(scope))

    async def _refuse(self, scope: Scope) -> None:
        """Reject a socket that no consumer will hear of: with status 503 where the server can, else with 1013."""
        logger.warning("Socket %s refused: %s", self._socket.path, self._process.why_refused("websocket.connect"))
        self._cancel_timer()
        self._process.replies.forget(self._socket.reply_channel)
        self._socket.forget_disconnect()
        if "websocket.http.response" in (scope.get("extensions") or {}):
            headers = [(b"retry-after", b"5"), (b"content-length", b"0")]
            self._outbox.put({"type": "websocket.http.response.start", "status": 503, "headers": headers})
            self._outbox.put({"type": "websocket.http.response.body", "body": b"", "more_body": False})
        else:
            self._outbox.put({"type": "websocket.accept", "subprotocol": None})
            self._outbox.put({"type": "websocket.close", "code": TRY_AGAIN_LATER})
        await self._outbox.drained()

    async def _take_frame(self, event: Event) -> None:
        if self._socket.state is State.CONNECTING:
            self._answered = asyncio.get_running_loop().create_future()
            await self._answered
        if self._socket.state is not State.OPEN:
            return
        message = self._socket.receive_message(event)
        self._dispatching = True
        try:
            taken = await dispatch(self._process.layer, "websocket.receive", message, self._process.limits.full_timeout)
        finally:
            self._dispatching = False
        if not taken:
            logger.warning("Socket %s closed: %s", self._socket.path, self._process.why_refused("websocket.receive"))
            self._perform(self._socket.close(TRY_AGAIN_LATER))
        self._end()

    # From the layer

    def reply(self, content: Content) -> None:
        """Take a message sent to this socket."""
        waiting = self._socket.state in (State.CONNECTING, State.ABANDONED)
        events = self._socket.reply(content)
        if waiting and self._socket.state in (State.OPEN, State.CLOSED):
            self._cancel_timer()
            self._release_frame()
        self._perform(events)
        self._end()

    def broadcast(self, content: Content) -> None:
        """Take a message sent to a group this socket is in."""
        self._perform(self._socket.broadcast(content))
        self._end()

    def stop(self) -> None:
        """Close the socket because the server stops."""
        self._perform(self._socket.close(GOING_AWAY))
        self._end()

    def _perform(self, events: Iterable[Event]) -> None:
        for event in events:
            if not self._outbox.put(event):
                self._overflow()
                return
            if event["type"] == "websocket.close":
                self._limit_closing()

    def _overflow(self) -> None:
        logger.warning("Socket %s closed: it reads too slowly and its outbox is full", self._socket.path)
        code = TRY_AGAIN_LATER
        self._socket.close(code)
        self._outbox.replace({"type": "websocket.close", "code": code})
        self._limit_closing()

    def _limit_closing(self) -> None:
        if self._task is not None and not self._task.done():
            self._start_timer(CLOSE_TIMEOUT, self._cut_off)

    def _cut_off(self) -> None:
        self._outbox.cancel()
        if self._task is not None:
            self._task.cancel()

    # The end

    def _handshake_expired(self) -> None:
        if self._socket.state is State.CONNECTING:
            self._process.warn_unanswered(
                "websocket.connect",
                "Socket %s rejected: no consumer has answered its websocket.connect message within %s s. "
                "A connect consumer must send {'accept': True} to message.reply_channel.",
                self._socket.path,
                self._process.limits.handshake_timeout,
            )
            self._perform(self._socket.close(1000))
            self._release_frame()
        # The message may still be waiting for a worker. Its consumer may run until it expires.
        self._start_timer(self._process.layer.expiry, self._answer_expired)

    def _answer_expired(self) -> None:
        self._socket.give_up()
        self._end()

    def _release_frame(self) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(None)

    def _end(self) -> None:
        """Once the socket has ended for good, report it and forget it."""
        if self._dispatching:
            return
        message = self._socket.take_disconnect_message()
        if message is not None:
            self._process.replies.forget(self._socket.reply_channel)
            self._process.report("websocket.disconnect", message)

    def _start_timer(self, seconds: float, action: Callable[[], None]) -> None:
        self._cancel_timer()
        self._timer = asyncio.get_running_loop().call_later(seconds, action)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
