"""Connect one WebSocket of an ASGI server with the channel layer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ..exceptions import MessageTooLarge
from ..layers.base import Content, Send
from .dispatch import dispatch
from .outbox import Outbox
from .websocket import Event, Scope, State, WebSocket

if TYPE_CHECKING:
    from .process import InterfaceProcess

logger = logging.getLogger(__name__)

MESSAGE_TOO_BIG = 1009
GOING_AWAY = 1012
TRY_AGAIN_LATER = 1013
# A client that does not take even the close frame is cut off after this time, in seconds.
CLOSE_TIMEOUT = 10.0


class SocketConnection:
    """One WebSocket: drives its state machine with what comes from both sides."""

    __slots__ = (
        "_answered",
        "_dispatching",
        "_outbox",
        "_process",
        "_receive",
        "_receiving",
        "_socket",
        "_task",
        "_timer",
    )

    def __init__(self, process: InterfaceProcess, scope: Scope, receive: Any, send: Any) -> None:
        self._process = process
        self._receive = receive
        self._socket = WebSocket(scope["path"], process.replies.new_channel(), scope["root_path"])
        limits = process.limits
        self._outbox = Outbox(send, limits.socket_outbox_size, limits.socket_outbox_length)
        self._task: asyncio.Task[Any] | None = None
        # True while the connection waits for its client and for nothing else.
        self._receiving = False
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
        try:
            taken = not self._process.stopping and self._is_owned and await self._connect(scope)
        except MessageTooLarge as error:
            logger.warning("Socket %r rejected: %s", self._socket.path, error)
            self._perform(self._socket.close(MESSAGE_TOO_BIG))
            self._forget()
            return
        if not taken:
            await self._refuse(scope)
            return
        while self._socket.state in (State.CONNECTING, State.OPEN):
            event = await self._next_event()
            if event["type"] == "websocket.disconnect":
                self._socket.leave(event.get("code") or 1005)
            else:
                await self._take_frame(event)

    async def _next_event(self) -> Event:
        """Wait for the client, until the server closes the socket: some servers send no close frame before that."""
        self._receiving = True
        try:
            return await self._receive()  # type: ignore[no-any-return]
        except asyncio.CancelledError:
            if self._receiving or self._task is None:
                raise
            self._task.uncancel()
            return {"type": "websocket.disconnect"}
        finally:
            self._receiving = False

    async def _connect(self, scope: Scope) -> bool:
        self._start_timer(self._process.limits.handshake_timeout, self._handshake_expired)
        layer, reply_channel = self._process.layer, self._socket.reply_channel
        content = self._socket.connect_message(scope)
        return await dispatch(layer, "websocket.connect", content, 0.0, reply_channel, self._will())

    async def _refuse(self, scope: Scope) -> None:
        """Reject a socket that no consumer will hear of: with status 503 where the server can, else with 1013."""
        self._process.log_refused("Socket %r refused", self._socket.path, "websocket.connect")
        self._forget()
        if "websocket.http.response" in (scope.get("extensions") or {}):
            headers = [(b"retry-after", b"5"), (b"content-length", b"0")]
            self._outbox.put({"type": "websocket.http.response.start", "status": 503, "headers": headers})
            self._outbox.put({"type": "websocket.http.response.body", "body": b"", "more_body": False})
        else:
            self._outbox.put({"type": "websocket.accept", "subprotocol": None})
            self._outbox.put({"type": "websocket.close", "code": TRY_AGAIN_LATER})
        await self._outbox.drained()

    def _forget(self) -> None:
        """End a socket that no consumer has heard of."""
        self._cancel_timer()
        self._process.replies.forget(self._socket.reply_channel)
        self._socket.forget_disconnect()

    async def _take_frame(self, event: Event) -> None:
        if self._socket.state is State.CONNECTING:
            self._answered = asyncio.get_running_loop().create_future()
            await self._answered
        if self._socket.state is not State.OPEN or not self._is_owned:
            return
        code = await self._dispatch_frame(event)
        if code is not None:
            self._perform(self._socket.close(code))
        self._end()

    async def _dispatch_frame(self, event: Event) -> int | None:
        """Send a frame into the layer; return the code to close the socket with if that cannot be done."""
        message, limits = self._socket.receive_message(event), self._process.limits
        self._dispatching = True
        try:
            if await dispatch(
                self._process.layer,
                "websocket.receive",
                message,
                limits.full_timeout,
                outage_patience=limits.outage_timeout,
            ):
                return None
            self._process.log_refused("Socket %r closed", self._socket.path, "websocket.receive")
            return TRY_AGAIN_LATER
        except MessageTooLarge as error:
            logger.warning("Socket %r closed: %s", self._socket.path, error)
            return MESSAGE_TOO_BIG
        finally:
            self._dispatching = False

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
        self._release_frame()
        self._end()

    def take_will(self, again: bool) -> Send | None:
        """Return the last will, which the layer has got with the connect message."""
        return self._will() if again else None

    def write_off(self) -> None:
        """Close the socket; consumers have been told of its end already."""
        self._perform(self._socket.close(GOING_AWAY))
        self._release_frame()
        self._forget()
        self._process.forget(self)

    def end_grace(self) -> None:
        """Wait no longer for an answer to the connect message of a socket that has ended."""
        self._socket.give_up()
        self._end()

    @property
    def is_unanswered(self) -> bool:
        """Whether the socket has ended, and its disconnect message waits for the answer to its connect message."""
        return self._socket.state is State.ABANDONED

    def _perform(self, events: Iterable[Event]) -> None:
        for event in events:
            if not self._outbox.put(event):
                self._overflow()
                return
            if event["type"] == "websocket.close":
                self._end_conversation()

    def _overflow(self) -> None:
        logger.warning("Socket %r closed: it reads too slowly and its outbox is full", self._socket.path)
        code = TRY_AGAIN_LATER
        self._socket.close(code)
        self._outbox.replace({"type": "websocket.close", "code": code})
        self._end_conversation()

    def _end_conversation(self) -> None:
        """Listen no longer to the client, and give it a limited time to take the close frame."""
        if self._task is not None and not self._task.done():
            self._start_timer(CLOSE_TIMEOUT, self._cut_off)
            if self._receiving:
                self._receiving = False
                self._task.cancel()

    def _cut_off(self) -> None:
        self._outbox.cancel()
        if self._task is not None:
            self._task.cancel()

    # The end

    def _handshake_expired(self) -> None:
        if self._socket.state is State.CONNECTING:
            self._process.warn_unanswered(
                "websocket.connect",
                "Socket %r rejected: no consumer has answered its websocket.connect message within %s s. "
                "A connect consumer must send {'accept': True} to message.reply_channel; what it sends to a group "
                "accepts no socket.",
                self._socket.path,
                self._process.limits.handshake_timeout,
            )
            self._perform(self._socket.close(1000))
            self._release_frame()
        # The message may still be waiting for a worker. Its consumer may run until it expires.
        self._start_timer(self._process.layer.expiry, self.end_grace)

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
            self._process.report("websocket.disconnect", message, reply_channel=self._socket.reply_channel)
            self._process.forget(self)

    @property
    def _is_owned(self) -> bool:
        """Whether consumers still think of the socket as open: not if the process was taken for dead meanwhile."""
        return self._process.replies.owns(self._socket.reply_channel)

    def _will(self) -> Send:
        return self._process.layer.prepare_will("websocket.disconnect", self._socket.last_will())

    def _start_timer(self, seconds: float, action: Callable[[], None]) -> None:
        self._cancel_timer()
        self._timer = asyncio.get_running_loop().call_later(seconds, action)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
