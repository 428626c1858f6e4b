"""Connect one WebSocket of an ASGI server with the channel layer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any

from ..exceptions import MessageTooLarge
from ..layers.base import Content, Finish, Send, UnderWay
from .connection import Connection
from .http import RETRY_AFTER
from .outbox import Outbox
from .process import InterfaceProcess
from .scope import Event, Scope
from .socket_messages import SocketMessages
from .websocket import MESSAGE_TOO_BIG, RECHECK, SERVICE_RESTART, TRY_AGAIN_LATER, State, WebSocket

logger = logging.getLogger(__name__)

# A client that does not take even the close frame is cut off after this time, in seconds.
CLOSE_TIMEOUT = 10.0


class SocketConnection(Connection):
    """One WebSocket: drives its state machine with what comes from both sides."""

    __slots__ = ("_messages", "_outbox", "_process", "_receive", "_receiving", "_room", "_socket", "_task", "_timer")
    is_socket = True

    def __init__(self, process: InterfaceProcess, scope: Scope, receive: Any, send: Any) -> None:
        self._process = process
        self._receive = receive
        self.reply_channel = process.replies.new_channel()
        self._socket = WebSocket(scope["path"], self.reply_channel, scope["root_path"])
        self._messages = SocketMessages(process, self._socket)
        limits = process.limits
        self._outbox = Outbox(send, limits.socket_outbox_size, limits.socket_outbox_length)
        self.will_is_old = False
        # Pending while nothing more is read from the client, for want of room.
        self._room: asyncio.Future[None] | None = None
        # What serves the socket, until its client has left and has been sent everything.
        self._task: asyncio.Task[Any] | None = None
        # True while the connection waits for its client and for nothing else.
        self._receiving = False
        # Runs while the socket waits for an answer to its connect message, and again while it closes.
        self._timer: asyncio.TimerHandle | None = None

    async def run(self, scope: Scope) -> None:
        """Serve the socket until it has ended."""
        await self._receive()
        self._task = asyncio.current_task()
        self._process.enter(self)
        self._process.replies.register(self.reply_channel, self)
        try:
            if await self._is_taken(scope):
                await self._converse()
        except asyncio.CancelledError:
            self._receiving = False
            if self._socket.state is not State.CLOSED:
                # The server is stopping. Where it has not told the client so, we do.
                self._perform(self._socket.close(SERVICE_RESTART))
            elif self._task is not None:
                # It was we who have ended the wait for the client.
                self._task.uncancel()
        finally:
            self._socket.leave(1006)
            self._go_on()
            try:
                await self._outbox.drained()
            finally:
                self._cancel_timer()
                self._task = None
                self._leave()

    async def _converse(self) -> None:
        while self._socket.state is not State.CLOSED:
            self._receiving = True
            event = await self._receive()
            self._receiving = False
            if event["type"] == "websocket.disconnect":
                self._socket.leave(event.get("code") or 1005)
            elif self._messages.can_send:
                await self._send(event)
            else:
                self._messages.keep(event)
                if self._messages.is_full:
                    self._room = asyncio.get_running_loop().create_future()
                    await self._room

    async def _send(self, frame: Event) -> None:
        if code := await self._messages.send(frame):
            self._messages.drop(more=1)
            self._perform(self._socket.close(code))

    async def _send_kept(self) -> None:
        while (frame := self._messages.take_next()) is not None:
            await self._send(frame)
        self._go_on()

    async def _is_taken(self, scope: Scope) -> bool:
        """Send the connect message; return False, and answer the client, if that cannot be done."""
        self._start_timer(self._process.limits.handshake_timeout, self._handshake_expired)
        try:
            refused = self._process.reason_to_refuse("websocket.connect")
            if not refused and await self._messages.connect(scope):
                return True
            await self._refuse(scope)
        except MessageTooLarge as error:
            logger.warning("Socket %r rejected: %s", self._socket.path, error)
            self._perform(self._socket.close(MESSAGE_TOO_BIG))
            self._forget()
        return False

    async def _refuse(self, scope: Scope) -> None:
        """Reject a socket that no consumer will hear of: with status 503 where the server can, else with 1013."""
        self._process.log_refused("Socket %r refused", self._socket.path, "websocket.connect")
        has_ended = self._socket.state is State.CLOSED
        self._forget()
        if has_ended:
            # The server stops, or it took too long: the client knows.
            return
        if "websocket.http.response" in (scope.get("extensions") or {}):
            headers = [RETRY_AFTER, (b"content-length", b"0")]
            self._outbox.put({"type": "websocket.http.response.start", "status": 503, "headers": headers})
            self._outbox.put({"type": "websocket.http.response.body", "body": b"", "more_body": False})
        else:
            self._outbox.put({"type": "websocket.accept", "subprotocol": None})
            self._outbox.put({"type": "websocket.close", "code": TRY_AGAIN_LATER})
        await self._outbox.drained()

    def _forget(self) -> None:
        """End a socket that no consumer has heard of."""
        self._cancel_timer()
        self._process.replies.forget(self.reply_channel)
        self._socket.forget_disconnect()

    # From the layer

    def reply(self, content: Content) -> None:
        """Take a message sent to this socket."""
        socket = self._socket
        is_answer = socket.state is State.CONNECTING
        events = socket.reply(content)
        if is_answer and socket.state is not State.CONNECTING:
            self._cancel_timer()
            self._messages.allow(socket.messages_under_way)
            self._messages.recheck_if_due()
        self._perform(events)
        if is_answer or socket.state is State.CLOSED:
            self._go_on()

    def finished(self, finish: Finish) -> None:
        """Be told that a worker has done with a message of this socket."""
        if self._messages.finished(finish):
            self._process.renew_will_soon(self)
        self._go_on()

    def overdue(self, now: float, patience: float) -> list[UnderWay]:
        """Return the messages that have been under way for so many seconds or longer."""
        return self._messages.overdue(now, patience)

    def lose(self, number: int) -> None:
        """Be told that a message is lost: one of a socket that keeps order must not be missed silently."""
        if self._messages.lose(number):
            # Its client may have left already.
            self._messages.drop()
            self._perform(self._socket.close(TRY_AGAIN_LATER))
        self._go_on()

    def broadcast(self, content: Content) -> None:
        """Take a message sent to a group this socket is in."""
        self._perform(self._socket.broadcast(content))
        if content.get(RECHECK):
            self._messages.recheck()
        if self._socket.state is State.CLOSED:
            self._go_on()

    def recheck(self) -> None:
        """Have consumers look whether the user of the socket may stay, unless they have too much to do."""
        self._messages.recheck(patience=0.0)

    def stop(self) -> None:
        """Close the socket because the server stops."""
        self._perform(self._socket.close(SERVICE_RESTART))
        self._go_on()

    def take_will(self, again: bool) -> Send | None:
        """Return the last will: the layer has got it with the connect message, but the session may have changed."""
        if self._socket.is_reported or not (again or self.will_is_old):
            return None
        self.will_is_old = False
        return self._messages.will()

    def write_off(self) -> None:
        """Close the socket; consumers have been told of its end already."""
        self._perform(self._socket.close(SERVICE_RESTART))
        self._socket.forget_disconnect()
        self.end_grace()

    def end_grace(self) -> None:
        """Wait no longer for what consumers still do with the messages of a socket that has ended."""
        self._messages.give_up()
        self._go_on()

    def _perform(self, events: Iterable[Event]) -> None:
        for event in events:
            if not self._outbox.put(event):
                self._overflow()
                return
            if event["type"] == "websocket.close":
                self._end_conversation()

    def _overflow(self) -> None:
        logger.warning("Socket %r closed: it reads too slowly and its outbox is full", self._socket.path)
        self._socket.close(TRY_AGAIN_LATER)
        self._outbox.clear()
        self._outbox.put({"type": "websocket.close", "code": TRY_AGAIN_LATER})
        self._end_conversation()

    def _end_conversation(self) -> None:
        """Listen no longer to the client, and give it a limited time to take the close frame."""
        if not self._process.stopping:
            self._messages.drop()
        if self._task is not None:
            self._start_timer(CLOSE_TIMEOUT, self._outbox.cancel)
            if self._receiving:
                self._receiving = False
                self._task.cancel()

    # What follows

    def _go_on(self) -> None:
        """Do what has waited: dispatch what was read, read on, or tell consumers of the end."""
        if self._messages.has_next:
            self._process.keep(self._send_kept())
            return
        has_ended = self._socket.state is State.CLOSED
        if self._room is not None and not self._room.done() and (has_ended or not self._messages.is_full):
            self._room.set_result(None)
        if has_ended:
            self._end()

    def _end(self) -> None:
        """Leave the groups of a socket that has ended, and tell consumers so when its last message is done."""
        self._process.replies.leave_groups(self.reply_channel)
        if not self._socket.was_accepted:
            self._messages.drop()
        if self._messages.end():
            self._leave()

    def _leave(self) -> None:
        """Have the process forget the socket when its client has left, and consumers have been told so."""
        if self._task is None and self._socket.is_reported:
            self._process.leave(self)

    def _handshake_expired(self) -> None:
        if self._socket.state is State.CONNECTING:
            text = (
                "Socket %r rejected: no consumer has answered its websocket.connect message within %s s. "
                "A connect consumer must send {'accept': True} to message.reply_channel; what it sends to a group "
                "accepts no socket."
            )
            process, path = self._process, self._socket.path
            process.warn_unanswered("websocket.connect", text, path, process.limits.handshake_timeout)
            self._perform(self._socket.close(1000))
            self._go_on()

    def _start_timer(self, seconds: float, action: Callable[[], None]) -> None:
        self._cancel_timer()
        self._timer = asyncio.get_running_loop().call_later(seconds, action)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
