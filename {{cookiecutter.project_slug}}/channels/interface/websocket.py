"""
The life of one WebSocket as a state machine: ASGI events and layer messages in and out, no I/O.

    CONNECTING ──accepted──> OPEN ──either side closes──> CLOSED
        └──────────refused, or left too early──────────────^

Nothing of a socket but its connect message is dispatched before a consumer has accepted it.
"""

from __future__ import annotations

import enum
import logging
from typing import Any

from ..layers.base import Content
from .scope import Event, Scope, described

logger = logging.getLogger(__name__)


# The channel on which consumers look whether a socket may stay, and the key of the message to a group that asks for it.
RECHECK_CHANNEL = "websocket.recheck"
RECHECK = "recheck"
MESSAGE_TOO_BIG = 1009
# The registry at IANA calls it so; the client is to come back at once.
SERVICE_RESTART = 1012
TRY_AGAIN_LATER = 1013
# Group messages that reach a member which is still connecting wait for its acceptance, so many at most.
MAX_EARLY_BROADCASTS = 100
# What a peer may see in a close frame (RFC 6455, section 7.4; the registry at IANA).
_CLOSE_CODES = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)})
_REPLY_KEYS = frozenset({"accept", "text", "bytes", "close", "subprotocol", "messages_under_way", RECHECK})


class State(enum.Enum):
    """Where a socket is in its life."""

    CONNECTING = "connecting"
    OPEN = "open"
    CLOSED = "closed"


class WebSocket:
    """One socket. Methods return the ASGI events to send to the client."""

    __slots__ = (
        "_code",
        "_early",
        "_offered",
        "_order",
        "_reported",
        "messages_under_way",
        "path",
        "reply_channel",
        "root_path",
        "state",
        "was_accepted",
    )

    def __init__(self, path: str, reply_channel: str, root_path: str = "") -> None:
        self.path = path
        self.root_path = root_path
        self.reply_channel = reply_channel
        self.state = State.CONNECTING
        self.was_accepted = False
        # How many of its messages may be with the workers at a time, if the accepting reply says so.
        self.messages_under_way: int | None = None
        self._order = 0
        self._code = 1006
        self._reported = False
        self._early: list[Content] = []
        self._offered: list[str] = []

    # Towards the layer

    def connect_message(self, scope: Scope) -> Content:
        """Return the ``websocket.connect`` message."""
        self._offered = list(scope.get("subprotocols") or ())
        return {
            "reply_channel": self.reply_channel,
            "path": self.path,
            "root_path": self.root_path,
            **described(scope, "ws"),
            "subprotocols": list(self._offered),
            "order": 0,
        }

    def receive_message(self, event: Event) -> Content:
        """Return the ``websocket.receive`` message for a frame from the client."""
        self._order += 1
        text = event.get("text")
        data = {"text": text} if text is not None else {"bytes": event.get("bytes") or b""}
        return {**self._name(), "order": self._order, **data}

    def take_disconnect_message(self) -> Content | None:
        """Return the ``websocket.disconnect`` message of a socket that has ended, once."""
        if self.state is not State.CLOSED or self._reported:
            return None
        self._reported = True
        return {**self._name(), "code": self._code, "order": self._order + 1}

    def last_will(self) -> Content:
        """Return the ``websocket.disconnect`` message for the case that nobody is left to send one."""
        return {**self._name(), "code": 1006, "order": None}

    def _name(self) -> Content:
        """Return what every message names its socket by, and routes choose its consumer by."""
        name = {"reply_channel": self.reply_channel, "path": self.path}
        return name | {"root_path": self.root_path} if self.root_path else name

    @property
    def is_reported(self) -> bool:
        """Whether its disconnect message has been taken, or is not to come."""
        return self._reported

    def forget_disconnect(self) -> None:
        """End a socket that no consumer has heard of, so that none hears of its end."""
        self.state = State.CLOSED
        self._reported = True

    def recheck_message(self) -> Content:
        """Return the ``websocket.recheck`` message, which has no place in the order of the others."""
        return self._name()

    # Replies

    def reply(self, content: Content) -> list[Event]:
        """Take a message sent to the socket's reply channel."""
        if not self._understands(content):
            return []
        if self.state is State.CONNECTING:
            return self._answer(content)
        if self.state is State.OPEN:
            return self._say(content)
        return []

    def broadcast(self, content: Content) -> list[Event]:
        """Take a message sent to a group the socket is in. It cannot accept the socket, only follow that."""
        if self.state is State.CLOSED or not self._understands(content):
            return []
        if self.state is State.OPEN:
            return self._say(content)
        if len(self._early) < MAX_EARLY_BROADCASTS:
            self._early.append(content)
        return []

    # Ends

    def leave(self, code: int) -> None:
        """The client has gone, with this close code."""
        if self.state is not State.CLOSED:
            self.state = State.CLOSED
            self._code = code

    def close(self, code: int) -> list[Event]:
        """The server closes the socket; one that is still connecting is rejected."""
        if self.state is State.CLOSED:
            return []
        self.leave(code)
        return [{"type": "websocket.close", "code": code}]

    def _understands(self, content: Content) -> bool:
        """Log what is wrong with a message to the socket; return False if nothing can be done with it."""
        if not content.keys() <= _REPLY_KEYS:
            unknown = ", ".join(sorted(content.keys() - _REPLY_KEYS))
            logger.warning("Reply to socket %r has unknown keys, ignored: %s", self.path, unknown)
        text, data = content.get("text"), content.get("bytes")
        if (text is None or isinstance(text, str)) if data is None else (text is None and isinstance(data, bytes)):
            return True
        logger.warning("Reply to socket %r ignored: it needs text (str) or bytes, not both", self.path)
        return False

    def _answer(self, content: Content) -> list[Event]:
        has_data = content.get("text") is not None or content.get("bytes") is not None
        if content.get("accept") or (content.get("accept") is None and has_data):
            self.state, self.was_accepted = State.OPEN, True
            events: list[Event] = [{"type": "websocket.accept", "subprotocol": self._chosen_subprotocol(content)}]
            self.messages_under_way = _number(content.get("messages_under_way"))
            early, self._early = self._early, []
            for message in [content, *early]:
                if self.state is State.OPEN:
                    events += self._say(message)
            return events
        if content.get("accept") is False or content.get("close"):
            return self.close(_close_code(content))
        return []

    def _chosen_subprotocol(self, content: Content) -> str | None:
        chosen = content.get("subprotocol")
        # Clients fail on a subprotocol that they have not offered, and some servers do (RFC 6455, section 4.2.2).
        if chosen in self._offered:
            return str(chosen)
        if chosen:
            logger.warning(
                "A consumer chose the subprotocol %r for socket %r, whose client offered %s; none is used",
                chosen,
                self.path,
                ", ".join(self._offered) or "none",
            )
        return None

    def _say(self, content: Content) -> list[Event]:
        events: list[Event] = []
        if content.get("text") is not None:
            events.append({"type": "websocket.send", "text": content["text"]})
        elif content.get("bytes") is not None:
            events.append({"type": "websocket.send", "bytes": content["bytes"]})
        if content.get("close"):
            events += self.close(_close_code(content))
        return events


def _number(value: Any) -> int | None:
    if type(value) is int and value > 0:
        return value
    if value is not None:
        text = "A consumer has accepted a socket with messages_under_way %r; expected a whole number above 0"
        logger.warning(text, value)
    return None


def _close_code(content: Content) -> int:
    code = content.get("close")
    if code is True or not code:
        return 1000
    if not isinstance(code, int) or code not in _CLOSE_CODES:
        logger.warning("A consumer closed a socket with the code %r, which cannot be sent; 1000 is sent instead", code)
        return 1000
    return int(code)
