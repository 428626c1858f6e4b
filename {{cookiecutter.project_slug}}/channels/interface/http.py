"""
One HTTP request and its response as a state machine: ASGI events and layer messages in and out, no I/O.

    WAITING ──status and headers──> STREAMING ──last content──> DONE
       ╲──────────an error, or the client has left───────────────^
"""

from __future__ import annotations

import enum
import logging
import re
from typing import Any

from ..layers.base import Content
from .scope import Event, Scope, described

logger = logging.getLogger(__name__)

Header = tuple[bytes, bytes]

# What clients are told with status 503.
RETRY_AFTER = (b"retry-after", b"5")
# The connection is good for nothing more: the rest of a body may still come over it.
CLOSE = (b"connection", b"close")
BUSY = "The server is busy. Please try again."

_REPLY_KEYS = frozenset({"status", "headers", "content", "more_content", "worker", "ack", "abort"})
# Header names are tokens, values hold no control characters (RFC 9110, sections 5.1 and 5.5).
_HEADER_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
# They say how the server sends what it is given, and only it can know (RFC 9110, section 7.6.1).
_CONNECTION_HEADERS = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)
# Responses without content (RFC 9110, 15.3.5, 15.3.6 and 15.4.5); only the last may name a length all the same.
_WITHOUT_CONTENT = frozenset({204, 205, 304})


class State(enum.Enum):
    """Where an exchange is in its life."""

    WAITING = "waiting"
    STREAMING = "streaming"
    DONE = "done"


class HttpExchange:
    """One request and its response. Methods return the ASGI events to send to the client."""

    __slots__ = ("_has_content", "_left", "aborted", "path", "reply_channel", "root_path", "state")

    def __init__(self, path: str, reply_channel: str, root_path: str = "", method: str = "GET") -> None:
        self.path = path
        self.root_path = root_path
        self.reply_channel = reply_channel
        self.state = State.WAITING
        # True when the connection must be cut, so that nobody takes half a response for a whole one.
        self.aborted = False
        # Whether the client gets the content of its response (RFC 9110, section 9.3.2), and how much it still expects.
        self._has_content = method != "HEAD"
        self._left: int | None = None

    def request_message(self, scope: Scope, body: bytes, body_channel: str | None) -> Content:
        """Return the ``http.request`` message."""
        return {
            "reply_channel": self.reply_channel,
            "http_version": scope.get("http_version", "1.1"),
            "method": scope["method"],
            "path": self.path,
            "root_path": self.root_path,
            **described(scope, "http"),
            "body": body,
            "body_channel": body_channel,
        }

    def reply(self, content: Content) -> list[Event]:
        """Take a message sent to the exchange's reply channel."""
        if self.state is State.DONE:
            return []
        if unknown := content.keys() - _REPLY_KEYS:
            logger.warning("Reply to request %r has unknown keys, ignored: %s", self.path, ", ".join(sorted(unknown)))
        if content.get("abort"):
            return self.abort()
        if self.state is State.WAITING:
            return self._start(content)
        if "status" in content:
            # A consumer that failed in the middle of its response, for example, is answered for with status 500.
            logger.error("Response to %r is cut off: another one came before its end", self.path)
            return self.abort()
        return self._continue(content)

    def answer(self, status: int, text: str, *more: Header) -> list[Event]:
        """Answer with a text of the interface server itself, and ``more`` headers, unless an answer has begun."""
        if self.state is not State.WAITING:
            return []
        data = f"{text}\n".encode()
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(data)), *more]
        if status == 503:
            headers.append(RETRY_AFTER)
        self.state = State.DONE
        return [_start_event(status, headers), self._body_event(data if self._has_content else b"", more=False)]

    def abort(self, seen: bool = True) -> list[Event]:
        """
        Cut the response off, even if its end was on its way.

        One of which the client has not ``seen`` anything becomes status 500.
        """
        if self.state is State.WAITING or not seen:
            self.state, self.aborted = State.WAITING, False
            return self.answer(500, "The server could not complete this response.")
        self.state = State.DONE
        self.aborted = True
        return []

    def leave(self) -> Content | None:
        """The client has gone: return the ``http.disconnect`` message if the response was not complete."""
        if self.state is State.DONE:
            return None
        self.state = State.DONE
        return self.disconnect_message()

    def disconnect_message(self) -> Content:
        """Return the ``http.disconnect`` message, which is the last will too."""
        message = {"reply_channel": self.reply_channel, "path": self.path}
        return message | {"root_path": self.root_path} if self.root_path else message

    def _start(self, content: Content) -> list[Event]:
        try:
            start = self._begin(content)
        except (TypeError, ValueError) as error:
            logger.error("Response to %r is not valid and becomes status 500: %s", self.path, error)
            return self.answer(500, "The server produced a response that is not valid.")
        self.state = State.STREAMING
        return [start, *self._continue(content)]

    def _begin(self, content: Content) -> Event:
        """Return the event that starts the response. Raises ``TypeError`` or ``ValueError`` if that cannot be."""
        status, headers = content.get("status"), self._headers(content)
        if not isinstance(status, int) or not 200 <= status <= 599:
            raise ValueError(f"the first message must have a status from 200 to 599, found {status!r}")
        if status in _WITHOUT_CONTENT:
            self._has_content = False
            if status != 304:
                headers = [header for header in headers if header[0] != b"content-length"]
        if self._has_content:
            self._left = _length_of(headers)
            if not content.get("more_content") and self._left not in (None, len(_content_of(content))):
                raise ValueError(
                    f"its Content-Length is {self._left}, its content has {len(_content_of(content))} bytes"
                )
        return _start_event(status, headers)

    def _headers(self, content: Content) -> list[Header]:
        headers = [_header(*header) for header in content.get("headers") or ()]
        if superfluous := {name for name, _ in headers} & _CONNECTION_HEADERS:
            names = b", ".join(sorted(superfluous)).decode()
            logger.warning("Response to %r has headers that are for the server to set, left out: %s", self.path, names)
            headers = [header for header in headers if header[0] not in superfluous]
        return headers

    def _continue(self, content: Content) -> list[Event]:
        more = bool(content.get("more_content"))
        if not self._has_content:
            self.state = State.DONE
            return [self._body_event(b"", more=False)]
        data = content.get("content", b"")
        if not isinstance(data, bytes):
            logger.error("Response to %r has content of type %s, expected bytes", self.path, type(data).__name__)
            data = _content_of(content)
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0 or (self._left and not more):
                logger.error("Response to %r is cut off: it is not as long as its Content-Length says", self.path)
                return self.abort()
        if not more:
            self.state = State.DONE
        return [self._body_event(data, more)]

    @staticmethod
    def _body_event(data: bytes, more: bool) -> Event:
        return {"type": "http.response.body", "body": data, "more_body": more}


def _start_event(status: int, headers: list[Header]) -> Event:
    return {"type": "http.response.start", "status": status, "headers": headers}


def _content_of(content: Content) -> bytes:
    data = content.get("content", b"")
    return data if isinstance(data, bytes) else str(data).encode()


def _length_of(headers: list[Header]) -> int | None:
    lengths = {value for name, value in headers if name == b"content-length"}
    if not lengths:
        return None
    if len(lengths) > 1 or not min(lengths).isdigit():
        raise ValueError(f"its Content-Length is {b', '.join(sorted(lengths))!r}")
    return int(lengths.pop())


def _header(name: Any, value: Any) -> Header:
    name, value = _latin1(name), _latin1(value).strip(b" \t")
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no header name")
    if _CONTROL.search(value):
        raise ValueError(f"the value of header {name!r} has a control character")
    return name.lower(), value


def _latin1(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("latin-1")
