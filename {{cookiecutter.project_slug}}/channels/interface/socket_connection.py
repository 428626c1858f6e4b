"""Connect one WebSocket of an ASGI server with the channel layer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any

from ..exceptions import MessageTooLarge
from ..layers.base import Content, Finish, Send, Ticket, UnderWay
from .connection import Connection
from .dispatch import dispatch
from .lane import Lane
from .outbox import Outbox, size_of
from .process import InterfaceProcess
from .session import merged
from .websocket import Event, Scope, State, WebSocket

logger = logging.getLogger(__name__)

MESSAGE_TOO_BIG = 1009
# The registry at IANA calls it so; the client is to come back at once.
SERVICE_RESTART = 1012
TRY_AGAIN_LATER = 1013
# A client that does not take even the close frame is cut off after this time, in seconds.
CLOSE_TIMEOUT = 10.0
# So many frames, or so many bytes, are read from a client while its lane is full: enough to notice that it leaves.
MAX_FRAMES_AHEAD = 16
MAX_SIZE_AHEAD = 64 * 1024
# Most sockets have no session, and all of these the same: sessions are replaced, never changed.
_NO_SESSION: Content = {}


class SocketConnection(Connection):
    """One WebSocket: drives its state machine with what comes from both sides."""

    __slots__ = (
        "_dispatching",
        "_frames",
        "_lane",
        "_outbox",
        "_process",
        "_receive",
        "_receiving",
        "_room",
        "_session",
        "_socket",
        "_task",
        "_timer",
    )
    is_socket = True

    def __init__(self, process: InterfaceProcess, scope: Scope, receive: Any, send: Any) -> None:
        self._process = process
        self._receive = receive
        self.reply_channel = process.replies.new_channel()
        self._socket = WebSocket(scope["path"], self.reply_channel, scope["root_path"])
        limits = process.limits
        self._outbox = Outbox(send, limits.socket_outbox_size, limits.socket_outbox_length)
        self._lane = Lane(limits.messages_under_way)
        # The values of the channel session, of which this is the owner.
        self._session = _NO_SESSION
        # Whether the last will that the layer has shows another one.
        self.will_is_old = False
        # Frames of the client that have been read and not dispatched; None until there are any.
        self._frames: list[Event] | None = None
        # Pending while nothing more is read from the client, for want of room.
        self._room: asyncio.Future[None] | None = None
        self._task: asyncio.Task[Any] | None = None
        # True while the connection waits for its client and for nothing else.
        self._receiving = False
        # Runs while the socket waits for an answer to its connect message, and again while it closes.
        self._timer: asyncio.TimerHandle | None = None
        # True while a frame is on its way into the layer: nothing must overtake it.
        self._dispatching = False

    async def run(self, scope: Scope) -> None:
        """Serve the socket until it has ended."""
        await self._receive()
        self._task = asyncio.current_task()
        self._process.enter(self)
        self._process.replies.register(self.reply_channel, self)
        try:
            await self._converse(scope)
        except asyncio.CancelledError:
            if self._socket.state is not State.CLOSED:
                # The server is stopping. Where it has not told the client so, we do.
                self._perform(self._socket.close(SERVICE_RESTART))
        finally:
            self._socket.leave(1006)
            self._go_on()
            try:
                await self._outbox.drained()
            finally:
                self._cancel_timer()
                self._task = None
                self._leave()

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
        while self._socket.state is not State.CLOSED:
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
        message = self._socket.connect_message(scope)
        send = self._prepared("websocket.connect", message)
        send = send._replace(reply_channel=self.reply_channel, will=self._will())
        return await self._dispatch(send, 0)

    async def _refuse(self, scope: Scope) -> None:
        """Reject a socket that no consumer will hear of: with status 503 where the server can, else with 1013."""
        self._process.log_refused("Socket %r refused", self._socket.path, "websocket.connect")
        has_ended = self._socket.state is State.CLOSED
        self._forget()
        if has_ended:
            # The server stops, or it took too long: the client knows.
            return
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
        self._process.replies.forget(self.reply_channel)
        self._socket.forget_disconnect()

    # Frames

    async def _take_frame(self, event: Event) -> None:
        """Dispatch a frame, or keep it until it is its turn; return when there is room for another one."""
        if not self._frames and self._may_dispatch:
            await self._dispatch_frame(event)
            if self._socket.state is State.CLOSED:
                self._go_on()
            return
        self._frames = self._frames or []
        self._frames.append(event)
        if self._is_full:
            self._room = asyncio.get_running_loop().create_future()
            await self._room

    @property
    def _is_full(self) -> bool:
        frames = self._frames or ()
        return len(frames) >= MAX_FRAMES_AHEAD or sum(map(size_of, frames)) >= MAX_SIZE_AHEAD

    @property
    def _may_dispatch(self) -> bool:
        # What a client has sent before it left comes before its disconnect message.
        return self._socket.was_accepted and self._lane.has_room and not self._dispatching

    async def _dispatch_frames(self) -> None:
        while self._frames and self._may_dispatch:
            await self._dispatch_frame(self._frames.pop(0))
        self._go_on()

    async def _dispatch_frame(self, event: Event) -> None:
        """Send a frame into the layer; close the socket if that cannot be done."""
        message, limits = self._socket.receive_message(event), self._process.limits
        order, code = message["order"], TRY_AGAIN_LATER
        try:
            send = self._prepared("websocket.receive", message)
            if self._is_owned and await self._dispatch(send, order, limits.full_timeout, limits.outage_timeout):
                return
            if self._is_owned:
                self._process.log_refused("Socket %r closed", self._socket.path, "websocket.receive")
        except MessageTooLarge as error:
            logger.warning("Socket %r closed: %s", self._socket.path, error)
            code = MESSAGE_TOO_BIG
        self._drop_frames(this=1)
        self._perform(self._socket.close(code))

    async def _dispatch(self, send: Send, number: int, patience: float = 0.0, outage_patience: float = 0.0) -> bool:
        layer, lane = self._process.layer, self._lane
        lane.begin(number, send.name)
        # It may have got there, too, if this is cancelled; if not, it will be found to be lost.
        self._dispatching = taken = True
        try:
            taken = await dispatch(layer, send, patience, outage_patience, lambda: lane.has(number))
        finally:
            self._dispatching = False
            if taken:
                lane.arrive(number, layer.clock())
            else:
                lane.finish(number)
        return taken

    def _prepared(self, channel: str, message: Content) -> Send:
        return self._process.layer.prepare(channel, message, ticket=Ticket(message["order"], self._session))

    def _drop_frames(self, this: int = 0) -> None:
        """Count what waits to be dispatched, and ``this`` that cannot be, as lost: the socket is closed."""
        frames, self._frames = self._frames or (), None
        if count := this + len(frames):
            advice = "Its client had sent them, and they waited here for their turn."
            self._process.layer.statistics.count_dropped("websocket.receive", "its socket was closed", advice, count)

    # From the layer

    def reply(self, content: Content) -> None:
        """Take a message sent to this socket."""
        socket = self._socket
        is_answer = socket.state is State.CONNECTING
        events = socket.reply(content)
        if is_answer and socket.state is not State.CONNECTING:
            self._cancel_timer()
            self._lane.allow(socket.messages_under_way)
        self._perform(events)
        if is_answer or socket.state is State.CLOSED:
            self._go_on()

    def finished(self, finish: Finish) -> None:
        """Be told that a worker has done with a message of this socket."""
        if finish.number is not None and not self._lane.has(finish.number):
            # It is told again when it may have got lost, and others may have changed the session since.
            return
        if finish.changed or finish.removed:
            self._session = merged(self._session, finish, self._process.limits.session_size)
            self.will_is_old = True
            self._process.renew_will_soon(self)
        if finish.keeps_order:
            self._lane.keep_order()
        if finish.comes_again:
            self._lane.arrive(finish.number, self._process.layer.clock())
        else:
            self._lane.finish(finish.number)
            self._go_on()

    def overdue(self, now: float, patience: float) -> list[UnderWay]:
        """Return the messages that have been under way for so many seconds or longer."""
        overdue = self._lane.overdue(now, patience)
        return [UnderWay(channel, self.reply_channel, number, age) for channel, number, age in overdue]

    def lose(self, number: int) -> None:
        """Be told that a message is lost: one of a socket that keeps order must not be missed silently."""
        channel = self._lane.finish(number)
        if channel and self._lane.keeps_order:
            text = "Socket %r closed with %d: its message %d on %s was lost with its worker, or expired"
            logger.warning(text, self._socket.path, TRY_AGAIN_LATER, number, channel)
            # Its client may have left already.
            self._drop_frames()
            self._perform(self._socket.close(TRY_AGAIN_LATER))
        elif channel:
            text = "Message %d of socket %r on %s was lost with its worker, or expired; the next one follows"
            logger.warning(text, number, self._socket.path, channel)
        self._go_on()

    def broadcast(self, content: Content) -> None:
        """Take a message sent to a group this socket is in."""
        self._perform(self._socket.broadcast(content))
        if self._socket.state is State.CLOSED:
            self._go_on()

    def stop(self) -> None:
        """Close the socket because the server stops."""
        self._perform(self._socket.close(SERVICE_RESTART))
        self._go_on()

    def take_will(self, again: bool) -> Send | None:
        """Return the last will: the layer has got it with the connect message, but the session may have changed."""
        if self._socket.is_reported or not (again or self.will_is_old):
            return None
        self.will_is_old = False
        return self._will()

    def write_off(self) -> None:
        """Close the socket; consumers have been told of its end already."""
        self._perform(self._socket.close(SERVICE_RESTART))
        self._socket.forget_disconnect()
        self.end_grace()

    def end_grace(self) -> None:
        """Wait no longer for what consumers still do with the messages of a socket that has ended."""
        self._lane.clear()
        self._drop_frames()
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
        code = TRY_AGAIN_LATER
        self._socket.close(code)
        self._outbox.replace({"type": "websocket.close", "code": code})
        self._end_conversation()

    def _end_conversation(self) -> None:
        """Listen no longer to the client, and give it a limited time to take the close frame."""
        if not self._process.stopping:
            self._drop_frames()
        if self._task is not None:
            self._start_timer(CLOSE_TIMEOUT, self._outbox.cancel)
            if self._receiving:
                self._receiving = False
                self._task.cancel()

    # What follows

    def _go_on(self) -> None:
        """Do what has waited: dispatch what was read, read on, or tell consumers of the end."""
        if self._frames and self._may_dispatch:
            self._process.keep(self._dispatch_frames())
            return
        has_ended = self._socket.state is State.CLOSED
        if self._room is not None and not self._room.done() and (has_ended or not self._is_full):
            self._room.set_result(None)
        if has_ended:
            self._end()

    def _end(self) -> None:
        """Leave the groups of a socket that has ended; when its last message is done, report its end and forget it."""
        self._process.replies.leave_groups(self.reply_channel)
        if not self._socket.was_accepted:
            self._drop_frames()
        if self._dispatching or self._frames or not self._lane.is_empty:
            return
        message = self._socket.take_disconnect_message()
        if message is not None:
            self._process.replies.forget(self.reply_channel)
            self._process.tell("websocket.disconnect", message, self.reply_channel, Ticket(None, self._session))
        self._leave()

    def _leave(self) -> None:
        """Have the process forget the socket when its client has left, and consumers have been told so."""
        if self._task is None and self._socket.is_reported:
            self._process.leave(self)

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
            self._go_on()

    @property
    def _is_owned(self) -> bool:
        """Whether consumers still think of the socket as open: not if the process was taken for dead meanwhile."""
        return self._process.replies.owns(self.reply_channel)

    def _will(self) -> Send:
        layer = self._process.layer
        return layer.prepare_will("websocket.disconnect", self._socket.last_will(), Ticket(None, self._session))

    def _start_timer(self, seconds: float, action: Callable[[], None]) -> None:
        self._cancel_timer()
        self._timer = asyncio.get_running_loop().call_later(seconds, action)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
