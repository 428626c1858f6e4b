"""The messages of one socket to its consumers: in their order, as many under way at a time as its lane is wide."""

from __future__ import annotations

import logging

from ..exceptions import MessageTooLarge
from ..layers.base import Content, Finish, Send, Ticket, UnderWay
from .dispatch import dispatch
from .lane import Lane
from .outbox import size_of
from .process import InterfaceProcess
from .scope import Event, Scope
from .session import merged
from .websocket import MESSAGE_TOO_BIG, RECHECK_CHANNEL, TRY_AGAIN_LATER, State, WebSocket

logger = logging.getLogger(__name__)

# So many frames, or so many bytes, are read from a client while its lane is full: enough to notice that it leaves.
MAX_FRAMES_AHEAD = 16
MAX_SIZE_AHEAD = 64 * 1024
# Most sockets have no session, and all of these the same: sessions are replaced, never changed.
_NO_SESSION: Content = {}
# What a channel session holds if its user is signed in, under the key that Django has for it.
_LOGIN = "_auth_user_id"


class SocketMessages:
    """What consumers are told of one socket, and what of that they have still to do."""

    __slots__ = ("_dispatching", "_frames", "_lane", "_process", "_session", "_socket", "_to_recheck")

    def __init__(self, process: InterfaceProcess, socket: WebSocket) -> None:
        self._process = process
        self._socket = socket
        self._lane = Lane(process.limits.messages_under_way)
        # The values of the channel session, of which this is the owner.
        self._session = _NO_SESSION
        # Frames of the client that wait for their turn; None until there are any.
        self._frames: list[Event] | None = None
        # True while a message is on its way into the layer: nothing must overtake it.
        self._dispatching = False
        # True while consumers are to look at it as soon as its connect consumer has ended.
        self._to_recheck = False

    async def connect(self, scope: Scope) -> bool:
        """Send the connect message; return whether the layer has taken it. Raises ``MessageTooLarge``."""
        layer, message = self._process.layer, self._socket.connect_message(scope)
        send = layer.prepare("websocket.connect", message, ticket=Ticket(message["order"], self._session))
        return await self._dispatch(send._replace(reply_channel=self._socket.reply_channel, will=self.will()), 0)

    # Frames

    @property
    def can_send(self) -> bool:
        """Whether a frame that comes now may be sent."""
        return not self._frames and self._has_room

    async def send(self, frame: Event) -> int:
        """Send a frame; return 0, or the code to close the socket with if that cannot be done."""
        process, socket = self._process, self._socket
        message = socket.receive_message(frame)
        number: int = message["order"]
        try:
            send = process.layer.prepare("websocket.receive", message, ticket=Ticket(number, self._session))
        except MessageTooLarge as error:
            logger.warning("Socket %r closed: %s", socket.path, error)
            return MESSAGE_TOO_BIG
        limits = process.limits
        if await self._dispatch(send, number, limits.full_timeout, limits.outage_timeout):
            return 0
        if process.replies.owns(socket.reply_channel):
            process.log_refused("Socket %r closed", socket.path, "websocket.receive")
        return TRY_AGAIN_LATER

    def keep(self, frame: Event) -> None:
        """Keep a frame until it is its turn."""
        self._frames = self._frames or []
        self._frames.append(frame)

    @property
    def is_full(self) -> bool:
        """Whether no more frames should be kept."""
        frames = self._frames or ()
        return len(frames) >= MAX_FRAMES_AHEAD or sum(map(size_of, frames)) >= MAX_SIZE_AHEAD

    @property
    def has_next(self) -> bool:
        """Whether it is the turn of a frame that was kept."""
        return bool(self._frames) and self._has_room

    def take_next(self) -> Event | None:
        """Take the frame that was kept and whose turn it is, if there is one."""
        return self._frames.pop(0) if self._frames and self._has_room else None

    def drop(self, more: int = 0) -> None:
        """Count the frames that were kept, and so many ``more``, as lost: the socket is closed."""
        frames, self._frames = self._frames or (), None
        if count := more + len(frames):
            advice = "Its client had sent them, and they waited here for their turn."
            self._process.layer.statistics.count_dropped("websocket.receive", "its socket was closed", advice, count)

    # The lane

    def allow(self, width: int | None) -> None:
        """Let so many messages be under way at a time, if the accepting reply says so."""
        self._lane.allow(width)

    def finished(self, finish: Finish) -> bool:
        """Be told that a worker has done with a message; return whether it has changed the session."""
        lane, number, clock = self._lane, finish.number, self._process.layer.clock
        if number is not None and not (lane.arrive(number, clock()) if finish.comes_again else lane.finish(number)):
            # It is told again when it may have got lost, and others may have changed the session since.
            return False
        if finish.keeps_order:
            lane.keep_order()
        has_changed = bool(finish.changed or finish.removed)
        if has_changed:
            self._session = merged(self._session, finish, self._process.limits.session_size)
        self.recheck_if_due()
        return has_changed

    # The account

    def recheck(self, patience: float | None = None) -> None:
        """
        Have consumers look whether the user may stay, if one is signed in; beside the lane, for no frame waits for it.

        While the connect consumer runs nobody knows whose socket it is: it is done after that.
        """
        socket = self._socket
        self._to_recheck = socket.state is not State.CLOSED and (not socket.was_accepted or self._lane.is_connecting)
        if not self._to_recheck and socket.state is State.OPEN and _LOGIN in self._session:
            ticket = Ticket(None, self._session)
            self._process.tell(RECHECK_CHANNEL, socket.recheck_message(), socket.reply_channel, ticket, patience)

    def overdue(self, now: float, patience: float) -> list[UnderWay]:
        """Return the messages that have been under way for so many seconds or longer."""
        overdue = self._lane.overdue(now, patience)
        return [UnderWay(channel, self._socket.reply_channel, number, age) for channel, number, age in overdue]

    def lose(self, number: int) -> bool:
        """
        Be told that a message is lost; return whether the socket must be closed.

        That is so if it keeps order, or if nobody knows: its connect consumer was to say so, and to store and join.
        """
        channel, path = self._lane.finish(number), self._socket.path
        if not channel:
            return False
        if self._lane.keeps_order or channel == "websocket.connect":
            text = "Socket %r closed with %d: its message %d on %s was lost with its worker, or expired"
            logger.warning(text, path, TRY_AGAIN_LATER, number, channel)
            return True
        text = "Message %d of socket %r on %s was lost with its worker, or expired; the next one follows"
        logger.warning(text, number, path, channel)
        return False

    def recheck_if_due(self) -> None:
        """Do so now if that was put off."""
        if self._to_recheck:
            self.recheck()

    # The end

    def will(self) -> Send:
        """Return the last will: the disconnect message for the case that nobody is left to send one."""
        layer = self._process.layer
        return layer.prepare_will("websocket.disconnect", self._socket.last_will(), Ticket(None, self._session))

    def give_up(self) -> None:
        """Wait no longer for what consumers still do, and tell them of no frame that was kept."""
        self._lane.clear()
        self.drop()

    def end(self) -> bool:
        """Tell consumers that the socket has ended, once they have done with the rest; return whether they have."""
        if self._dispatching or self._frames or not self._lane.is_empty:
            return False
        message = self._socket.take_disconnect_message()
        if message is not None:
            reply_channel = self._socket.reply_channel
            self._process.replies.forget(reply_channel)
            self._process.tell("websocket.disconnect", message, reply_channel, Ticket(None, self._session))
        return True

    @property
    def _has_room(self) -> bool:
        # What a client has sent before it left comes before its disconnect message.
        return self._socket.was_accepted and self._lane.has_room and not self._dispatching

    async def _dispatch(self, send: Send, number: int, patience: float = 0.0, outage_patience: float = 0.0) -> bool:
        process, lane = self._process, self._lane
        if not process.replies.owns(self._socket.reply_channel):
            # The process was taken for dead meanwhile, and consumers have been told that the socket has ended.
            return False
        lane.begin(number, send.name)
        # It may have got there, too, if this is cancelled; if not, it will be found to be lost.
        self._dispatching = taken = True
        try:
            taken = await dispatch(process.layer, send, patience, outage_patience, lambda: lane.has(number))
        finally:
            self._dispatching = False
            if taken:
                lane.arrive(number, process.layer.clock())
            else:
                lane.finish(number)
        return taken
