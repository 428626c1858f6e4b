"""
Run Django's views over a channel layer: a request message in, response messages out.

``AsgiRequest`` is Django's own ASGI request made from a message; ``AsgiHandler`` is a Django request handler that
yields the response as messages; ``ViewConsumer`` is the consumer that a site gets for ``http.request``.
"""

from __future__ import annotations

import asyncio
import io
import logging
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Generator, Iterable, Iterator
from contextlib import closing
from typing import IO, Any

from django.conf import settings
from django.core import signals
from django.core.handlers.asgi import ASGIRequest, get_script_prefix
from django.core.handlers.base import BaseHandler
from django.http import FileResponse, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix

from .exceptions import RequestAborted, RequestTimeout, ResponseLater
from .layers.base import Content
from .message import Message
from .responses import ClientGone, ResponseSender

logger = logging.getLogger(__name__)

# A client that sends nothing of its body for so long, in seconds, is given up.
BODY_TIMEOUT = 60.0


class AsgiRequest(ASGIRequest):
    """
    Django's request, made from an ``http.request`` message.

    ``message`` is the message and ``reply_channel`` its reply channel; ``scope`` is the message as an ASGI scope, if
    there is one already. Making one reads the whole body, which is kept on disk beyond ``FILE_UPLOAD_MAX_MEMORY_SIZE``
    bytes. Raises ``RequestAborted``, ``RequestTimeout``.
    """

    ResponseLater = ResponseLater

    def __init__(self, message: Message, scope: dict[str, Any] | None = None) -> None:
        self.message = message
        self.reply_channel = message.reply_channel
        super().__init__(scope or _scope_of(message), _read_body(message))


class AsgiHandler(BaseHandler):
    """
    Handles requests by the site's middleware and views.

    ``AsgiHandler()(message)`` yields the response to a message as reply messages; so does iterating over
    ``AsgiHandler(message)``.
    """

    # The content of one reply message, in bytes.
    chunk_size = 512 * 1024

    def __init__(self, message: Message | None = None) -> None:
        super().__init__()
        self._message = message
        self.load_middleware()

    def __call__(self, message: Message) -> Generator[Content]:
        """Yield the response to a request message. Raises ``ResponseLater`` if the view does."""
        response = self._respond(message)
        if response is not None:
            try:
                yield from self.encode_response(response)
            finally:
                response.close()

    def __iter__(self) -> Iterator[Content]:
        if self._message is None:
            raise TypeError("Only an AsgiHandler made with a message can be iterated over.")
        return self(self._message)

    @classmethod
    def encode_response(cls, response: HttpResponseBase) -> Iterator[Content]:
        """Yield a response as reply messages: ``status``, ``headers``, ``content`` and ``more_content``."""
        if isinstance(response, FileResponse):
            response.block_size = cls.chunk_size
        head: Content = {"status": response.status_code, "headers": _encode_headers(response)}
        parts = cls._split(response.streaming_content if response.streaming else [response.content])  # type: ignore[attr-defined]
        if response.streaming:
            for part in parts:
                yield {**head, "content": part, "more_content": True}
                head = {}
            yield {**head, "content": b"", "more_content": False}
            return
        content = next(parts, b"")
        for following in parts:
            yield {**head, "content": content, "more_content": True}
            content, head = following, {}
        yield {**head, "content": content, "more_content": False}

    @classmethod
    def _split(cls, parts: Iterable[Any] | AsyncIterator[Any]) -> Iterator[bytes]:
        for part in _step_through(parts) if isinstance(parts, AsyncIterator) else parts:
            data = bytes(part)
            for start in range(0, len(data), cls.chunk_size):
                yield data[start : start + cls.chunk_size]

    def _respond(self, message: Message) -> HttpResponseBase | None:
        scope = _scope_of(message)
        set_script_prefix(get_script_prefix(scope))
        signals.request_started.send(sender=self.__class__, message=message)
        try:
            request = AsgiRequest(message, scope)
        except UnicodeDecodeError:
            logger.warning("Bad request: the query string of %r is not valid", message.get("path"), exc_info=True)
            return HttpResponse("Bad request\n", status=400, content_type="text/plain")
        except RequestTimeout:
            return HttpResponse(
                "The body of the request did not come in time.\n", status=408, content_type="text/plain"
            )
        except RequestAborted:
            return None
        response = self.get_response(request)
        return response


class ViewConsumer:
    """The consumer that answers ``http.request`` by the site's views."""

    handler_class: type[AsgiHandler] = AsgiHandler

    def __init__(self) -> None:
        self._handler: AsgiHandler | None = None
        self._lock = threading.Lock()

    def __call__(self, message: Message, **kwargs: Any) -> None:
        """Send the response of a view to the reply channel, at the client's pace."""
        sender = ResponseSender(message)
        with closing(self._get_handler()(message)) as replies:
            try:
                for reply in replies:
                    sender.send(reply)
            except ResponseLater:
                logger.debug("Another consumer answers %r", message.get("path"))
            except ClientGone as error:
                logger.info("Response to %r abandoned: %s", message.get("path"), error)
            except Exception:
                sender.abort()
                raise

    def _get_handler(self) -> AsgiHandler:
        # Middleware is loaded by the first request: at import time the apps may not be ready.
        handler = self._handler
        if handler is None:
            with self._lock:
                handler = self._handler = self._handler or self.handler_class()
        return handler


view_consumer = ViewConsumer()


def _scope_of(message: Message) -> dict[str, Any]:
    return {
        "type": "http",
        "method": message["method"],
        "path": message["path"],
        "root_path": message.get("root_path", ""),
        "query_string": message.get("query_string", b""),
        "scheme": message.get("scheme", "http"),
        "headers": _join_cookies([(name.lower(), value) for name, value in message.get("headers", [])]),
        "client": message.get("client"),
        "server": message.get("server"),
    }


def _join_cookies(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Make one of several cookie headers, which HTTP/2 allows (RFC 9113, section 8.2.3); Django takes one."""
    cookies = [value for name, value in headers if name == b"cookie"]
    if len(cookies) < 2:
        return headers
    return [header for header in headers if header[0] != b"cookie"] + [(b"cookie", b"; ".join(cookies))]


def _read_body(message: Message) -> IO[bytes]:
    first = message.get("body") or b""
    channel = message.get("body_channel")
    if not channel:
        return io.BytesIO(first)
    body: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=settings.FILE_UPLOAD_MAX_MEMORY_SIZE)  # noqa: SIM115
    body.write(first)
    try:
        for part in _read_parts(message.channel_layer, channel):
            body.write(part)
    except BaseException:
        body.close()
        raise
    body.seek(0)
    return body


def _read_parts(channel_layer: Any, channel: str) -> Iterator[bytes]:
    deadline = time.monotonic() + BODY_TIMEOUT
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise RequestTimeout(f"No part of the request body came within {BODY_TIMEOUT:.0f} s.")
        _, part = channel_layer.receive([channel], block=True, timeout=left)
        if part is None:
            continue
        if part.get("closed"):
            raise RequestAborted("The client left before its request body was complete.")
        yield part.get("content", b"")
        if not part.get("more_content"):
            return
        deadline = time.monotonic() + BODY_TIMEOUT


def _step_through(parts: AsyncIterator[Any]) -> Iterator[Any]:
    """Yield what an asynchronous iterator yields, each part when it comes."""
    end = object()

    async def step() -> Any:
        return await anext(parts, end)

    with asyncio.Runner() as runner:
        while (part := runner.run(step())) is not end:
            yield part


def _encode_headers(response: HttpResponseBase) -> list[list[bytes]]:
    headers = [[name.lower().encode("latin-1"), value.encode("latin-1")] for name, value in response.items()]
    cookies = [[b"set-cookie", cookie.OutputString().encode("latin-1")] for cookie in response.cookies.values()]
    return headers + cookies
