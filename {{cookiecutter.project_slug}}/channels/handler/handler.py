"""
Run Django's views over a channel layer: a request message in, response messages out.

``AsgiRequest`` is Django's own ASGI request made from a message; ``AsgiHandler`` is a Django request handler that
yields the response as messages; ``ViewConsumer`` is the consumer that a site gets for ``http.request``.
"""

from __future__ import annotations

import asyncio
import functools
import io
import logging
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import aclosing, closing, contextmanager
from typing import IO, Any

from asgiref.sync import async_to_sync, iscoroutinefunction, sync_to_async
from django.conf import settings
from django.core import signals
from django.core.handlers.asgi import ASGIRequest, get_script_prefix
from django.core.handlers.base import BaseHandler
from django.http import FileResponse, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix

from ..exceptions import RequestAborted, RequestTimeout, ResponseLater
from ..layers.base import MAX_CHUNK_SIZE, Content
from ..message import Message
from ..registry import AnyLayer
from .responses import ClientGone, ClientTooSlow, ResponseSender

logger = logging.getLogger(__name__)

# A body of which nothing comes for so long, in seconds, will not be whole any more: its interface server has it all.
BODY_TIMEOUT = 60.0
# An asynchronous view asks to be told when its client leaves after so many seconds.
ANNOUNCE_DELAY = 0.1


class AsgiRequest(ASGIRequest):
    """
    Django's request, made from an ``http.request`` message.

    ``message`` is the message and ``reply_channel`` its reply channel; ``scope`` is the message as an ASGI scope, if
    there is one already. Making one reads the whole body, which is kept on disk beyond ``FILE_UPLOAD_MAX_MEMORY_SIZE``
    bytes. Raises ``RequestAborted`` or ``RequestTimeout``.
    """

    ResponseLater = ResponseLater
    # Sends the response, and hears when the client leaves.
    response_sender: ResponseSender | None = None

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

    # The content of one reply message, in bytes, at most.
    chunk_size = MAX_CHUNK_SIZE

    def __init__(self, message: Message | None = None) -> None:
        super().__init__()
        self._message = message
        self.load_middleware()

    def __call__(self, message: Message) -> Generator[Content]:
        """Yield the response to a request message. Raises ``ResponseLater`` if the view does."""
        response = self.respond(message)
        if response is not None:
            try:
                yield from self.encode_response(response)
            finally:
                response.close()

    def __iter__(self) -> Iterator[Content]:
        if self._message is None:
            raise TypeError("Only an AsgiHandler made with a message can be iterated over.")
        return self(self._message)

    def respond(self, message: Message, sender: ResponseSender | None = None) -> HttpResponseBase | None:
        """
        Return the response to a request message, None if its client has left meanwhile.

        An asynchronous view is cancelled when the client leaves, if its ``sender`` is given: that hears of it.
        """
        scope = _scope_of(message)
        set_script_prefix(get_script_prefix(scope))
        signals.request_started.send(sender=self.__class__, message=message)
        try:
            request = AsgiRequest(message, scope)
        except UnicodeDecodeError:
            logger.warning("Bad request: the query string of %r is not valid", message.get("path"), exc_info=True)
            return HttpResponse("Bad request\n", status=400, content_type="text/plain")
        except RequestAborted as error:
            logger.info("Request %r abandoned: %s", message.get("path"), error)
            return None
        request.response_sender = sender
        return self.get_response(request)

    def make_view_atomic(self, view: Callable[..., Any]) -> Callable[..., Any]:
        """Return a view as Django wants it called; one that is asynchronous ends when its client has left."""
        view = super().make_view_atomic(view)
        return _ending_with_client(view) if iscoroutinefunction(view) else view

    @classmethod
    def encode_response(cls, response: HttpResponseBase) -> Iterator[Content]:
        """
        Yield a response as reply messages: ``status``, ``headers``, ``content`` and ``more_content``.

        Of a response whose parts come asynchronously, all have to come first, as in Django under WSGI.
        """
        head: Content = {"status": response.status_code, "headers": _encode_headers(response)}
        if response.streaming:
            if isinstance(response, FileResponse):
                response.block_size = cls.chunk_size
            for part in response:
                for chunk in cls._split(part):
                    yield {**head, "content": chunk, "more_content": True}
                    head = {}
            yield {**head, "content": b"", "more_content": False}
            return
        parts = cls._split(response.content)  # type: ignore[attr-defined]
        content = next(parts, b"")
        for following in parts:
            yield {**head, "content": content, "more_content": True}
            content, head = following, {}
        yield {**head, "content": content, "more_content": False}

    @classmethod
    def _split(cls, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), cls.chunk_size):
            yield data[start : start + cls.chunk_size]


class ViewConsumer:
    """The consumer that answers ``http.request`` by the site's views."""

    handler_class: type[AsgiHandler] = AsgiHandler

    def __init__(self) -> None:
        self._handler: AsgiHandler | None = None
        self._lock = threading.Lock()

    def __call__(self, message: Message, **kwargs: Any) -> None:
        """Send the response of a view to the reply channel."""
        with closing(ResponseSender(message)) as sender:
            try:
                response = self._get_handler().respond(message, sender)
                if response is not None:
                    with closing(response):
                        self._send(response, message, sender)
            except ResponseLater:
                logger.debug("Another consumer answers %r", message.get("path"))
            except ClientGone as error:
                level = logging.WARNING if isinstance(error, ClientTooSlow) else logging.INFO
                logger.log(level, "Response to %r abandoned: %s", message.get("path"), error)
            except asyncio.CancelledError:
                if not sender.left:
                    raise
                logger.info("Response to %r abandoned: the client has left", message.get("path"))
            except Exception:
                sender.abort()
                raise

    def _send(self, response: HttpResponseBase, message: Message, sender: ResponseSender) -> None:
        if message.get("method") == "HEAD":
            # Nobody asks for the content, so it is not even made (RFC 9110, section 9.3.2).
            sender.send({"status": response.status_code, "headers": _encode_headers(response)})
        elif getattr(response, "is_async", False):
            async_to_sync(_send_stream)(response, sender)
        else:
            for reply in self.handler_class.encode_response(response):
                sender.send(reply)

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


def _read_parts(channel_layer: AnyLayer, channel: str) -> Iterator[bytes]:
    more = True
    while more:
        _, part = channel_layer.receive([channel], block=True, timeout=BODY_TIMEOUT)
        if part is None:
            raise RequestTimeout(f"The interface server has sent nothing of the body for {BODY_TIMEOUT:.0f} s.")
        if part.get("closed"):
            raise RequestAborted("The client has left.")
        yield part.get("content", b"")
        more = part.get("more_content", False)


async def _send_stream(response: Any, sender: ResponseSender) -> None:
    """
    Send a response whose parts come asynchronously, as Django's own ASGI handler does: whoever makes them is
    cancelled when the client leaves.

    The sending itself, like all that is synchronous, happens in the thread of the worker.
    """
    send = sync_to_async(sender.send)
    head: Content = {"status": response.status_code, "headers": _encode_headers(response)}
    with _cancelled_on_leaving(sender):
        await send({**head, "content": b"", "more_content": True})
        async with aclosing(aiter(response)) as parts:
            async for part in parts:
                await send({"content": part, "more_content": True})
        await send({"content": b"", "more_content": False})


def _ending_with_client(view: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(view)
    async def inner(request: Any, *args: Any, **kwargs: Any) -> Any:
        sender = getattr(request, "response_sender", None)
        if sender is None:
            return await view(request, *args, **kwargs)
        announcing = asyncio.create_task(_announce_later(sender))
        try:
            with _cancelled_on_leaving(sender):
                return await view(request, *args, **kwargs)
        finally:
            announcing.cancel()

    return inner


async def _announce_later(sender: ResponseSender) -> None:
    # Most views have answered by then.
    await asyncio.sleep(ANNOUNCE_DELAY)
    await sync_to_async(sender.announce)()


@contextmanager
def _cancelled_on_leaving(sender: ResponseSender) -> Iterator[None]:
    """Have the current task cancelled when the client leaves."""
    task: Any = asyncio.current_task()
    loop = asyncio.get_running_loop()
    sender.call_on_leaving(functools.partial(loop.call_soon_threadsafe, task.cancel))
    try:
        yield
    finally:
        sender.call_on_leaving(None)


def _encode_headers(response: HttpResponseBase) -> list[list[bytes | str]]:
    headers = [[name.lower().encode("latin-1"), _encode(value)] for name, value in response.items()]
    for cookie in response.cookies.values():
        headers.append([b"set-cookie", cookie.OutputString().encode("latin-1")])
    return headers


def _encode(value: str) -> bytes | str:
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        # The interface server says what is wrong with it, and of which page it is.
        return value
