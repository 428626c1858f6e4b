"""
One HTTP request and its response as a state machine: ASGI events and layer messages in and out, no I/O.

    WAITING ──status and headers──> STREAMING ──last content──> DONE
       ╲──────────an error, or the client has left───────────────^
"""

from __future__ import annotations

import enum
import logging
import re
from collections.abc import Mapping
from typing import Any

logger = logging.getLogger(__name__)

Content = dict[str, Any]
Event = dict[str, Any]
Scope = Mapping[str, Any]

_REPLY_KEYS = frozenset({"status", "headers", "content", "more_content", "ack", "abort"})
# Header names are tokens, values hold no control characters (RFC 9110, sections 5.1 and 5.5).
_HEADER_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class State(enum.Enum):
    """Where an exchange is in its life."""

    WAITING = "waiting"
    STREAMING = "streaming"
    DONE = "done"


class HttpExchange:
    """One request and its response. Methods return the ASGI events to send to the client."""

    __slots__ = ("aborted", "path", "reply_channel", "root_path", "state")

    def __init__(self, path: str, reply_channel: str, root_path: str = "") -> None:
        self.path = path
        self.root_path = root_path
        self.reply_channel = reply_channel
        self.state = State.WAITING
        # True when the connection must be cut, so that nobody takes half a response for a whole one.
        self.aborted = False

    def request_message(self, scope: Scope, body: bytes, body_channel: str | None) -> Content:
        """Return the ``http.request`` message."""
        return {
            "reply_channel": self.reply_channel,
            "http_version": scope.get("http_version", "1.1"),
            "method": scope["method"],
            "scheme": scope.get("scheme", "http"),
            "path": self.path,
            "query_string": scope.get("query_string", b""),
            "root_path": self.root_path,
            "headers": [[name.lower(), value] for name, value in scope.get("headers", ())],
            "body": body,
            "body_channel": body_channel,
            "client": list(scope["client"]) if scope.get("client") else None,
            "server": list(scope["server"]) if scope.get("server") else None,
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

    def refuse(self, status: int, text: str) -> list[Event]:
        """Answer with an error of the interface server itself, unless an answer has begun."""
        if self.state is not State.WAITING:
            return []
        headers = [[b"content-type", b"text/plain; charset=utf-8"]]
        if status == 503:
            headers.append([b"retry-after", b"5"])
        return self._start({"status": status, "headers": headers, "content": f"{text}\n".encode()})

    def abort(self) -> list[Event]:
        """Cut the response off, even if its end was on its way; one that has not begun becomes status 500."""
        if self.state is State.WAITING:
            return self.refuse(500, "The server could not complete this response.")
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
            start = _start_event(content)
        except (TypeError, ValueError) as error:
            logger.error("Response to %r is not valid and becomes status 500: %s", self.path, error)
            return self.refuse(500, "The server produced a response that is not valid.")
        self.state = State.STREAMING
        return [start, *self._continue(content)]

    def _continue(self, content: Content) -> list[Event]:
        more = bool(content.get("more_content"))
        body = content.get("content", b"")
        if not isinstance(body, bytes):
            logger.error("Response to %r has content of type %s, expected bytes", self.path, type(body).__name__)
            body = str(body).encode()
        if not more:
            self.state = State.DONE
        return [{"type": "http.response.body", "body": body, "more_body": more}]


def _start_event(content: Content) -> Event:
    status = content.get("status")
    if not isinstance(status, int) or not 100 <= status <= 599:
        raise ValueError(f"the first message must have a status from 100 to 599, found {status!r}")
    headers = [_header(*header) for header in content.get("headers") or ()]
    return {"type": "http.response.start", "status": status, "headers": headers}


def _header(name: Any, value: Any) -> tuple[bytes, bytes]:
    name, value = _latin1(name), _latin1(value)
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no header name")
    if _CONTROL.search(value):
        raise ValueError(f"the value of header {name!r} has a control character")
    return name.lower(), value


def _latin1(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("latin-1")
