"""Connect one HTTP request of an ASGI server with the channel layer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..exceptions import MessageTooLarge
from ..layers.base import Content, Send
from .dispatch import dispatch
from .http import Event, HttpExchange, Scope, State
from .outbox import Outbox

if TYPE_CHECKING:
    from .process import InterfaceProcess

logger = logging.getLogger(__name__)

# What has come of a body after this time, in seconds, is handed on, be it ever so little.
SLOW_BODY = 5.0
# So long, in seconds, the client is not watched: most requests are answered sooner, and a task for each would cost more
# than the rest of it. Bodies that travel in chunks are read at once.
WATCH_DELAY = 0.05
BODY_PATTERN = "http.request.body?"


class ResponseAborted(Exception):
    """Is raised into the server to cut off a response that cannot be completed."""


class HttpConnection:
    """One request: drives its state machine with what comes from both sides."""

    def __init__(self, process: InterfaceProcess, scope: Scope, receive: Any, send: Any) -> None:
        self._process = process
        self._scope = scope
        self._receive = receive
        self._exchange = HttpExchange(scope["path"], process.replies.new_channel())
        self._outbox = Outbox(send, process.limits.response_outbox_size, 2**20, self._acknowledge)
        self._acks: dict[int, str] = {}
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # True once a consumer may have heard of the request.
        self._dispatched = False
        self._gone = False
        self._has_will = False
        self._watcher: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle

    async def run(self) -> None:
        """Serve the request until it has been answered or its client has left."""
        self._process.replies.register(self._exchange.reply_channel, self)
        try:
            body, more = await self._read_body()
            body_channel = await self._dispatch_request(body, more)
            if body_channel is not None:
                self._start_watching(body_channel, body, more)
            await self._wait()
        finally:
            self._process.replies.forget(self._exchange.reply_channel)
            if self._watcher is not None:
                self._watcher.cancel()
            self._report_leaving()
        await self._outbox.drained()
        if self._exchange.aborted and not self._gone:
            raise ResponseAborted(f"The response to {self._exchange.path} could not be completed.")

    async def _dispatch_request(self, body: bytes, more: bool) -> str | None:
        """Send the request; return the channel for its body unless that travels in the request itself."""
        if self._gone:
            return None
        in_chunks = more or len(body) > self._process.limits.body_chunk_size
        body_channel = self._process.layer.new_channel(BODY_PATTERN) if in_chunks else None
        message = self._exchange.request_message(self._scope, b"" if in_chunks else body, body_channel)
        if self._process.stopping:
            self._refuse(503, "The server is stopping.")
            return None
        self._dispatched = True
        try:
            if await dispatch(self._process.layer, "http.request", message):
                return body_channel
            self._process.log_refused("Request %r refused", self._exchange.path, "http.request")
            self._refuse(503, "The server is busy. Please try again.")
        except MessageTooLarge as error:
            logger.warning("Request %r refused: %s", self._exchange.path, error)
            self._refuse(431, "The address or the headers of the request are too large.")
        return None

    async def _read_body(self) -> tuple[bytes, bool]:
        """
        Read until the body has ended or comes to the size of a chunk; return it and whether more follows.

        Of a body that comes slowly, less is handed on: the worker shall see that it comes at all.
        """
        parts: list[bytes] = []
        size, more = 0, True
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while more and size < self._process.limits.body_chunk_size and not (size and loop.time() - begun > SLOW_BODY):
            event = await self._receive()
            if event["type"] == "http.disconnect":
                self._leave()
                return b"", False
            part = event.get("body", b"")
            parts.append(part)
            size += len(part)
            more = event.get("more_body", False)
        return parts[0] if len(parts) == 1 else b"".join(parts), more

    def _start_watching(self, body_channel: str | None = None, body: bytes = b"", more: bool = False) -> None:
        if self._watcher is None and not self._done.done():
            self._watcher = asyncio.get_running_loop().create_task(self._watch(body_channel, body, more))

    async def _watch(self, body_channel: str | None, body: bytes, more: bool) -> None:
        """Hand on the body, if it travels in chunks, then wait for the client to leave."""
        if body_channel is not None and not await self._send_body(body_channel, body, more):
            return
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._leave()

    async def _send_body(self, body_channel: str, body: bytes, more: bool) -> bool:
        """Send the body, which begins with ``body``, and return True if that could be done."""
        while await self._send_part(body_channel, body, more):
            if not more:
                return True
            body, more = await self._read_body()
            if self._gone:
                self._process.report(body_channel, {"closed": True})
                return False
        self._refuse(503, "The server is busy. Please try again.")
        return False

    async def _send_part(self, body_channel: str, body: bytes, more: bool) -> bool:
        """Send a part of the body. While the consumer is behind, nothing more is read from the client."""
        size = self._process.limits.body_chunk_size
        for start in range(0, max(len(body), 1), size):
            last = start + size >= len(body)
            content = {"content": body[start : start + size], "more_content": more or not last}
            # Workers that are busy with other requests may need as long as any request may wait.
            if not await dispatch(self._process.layer, body_channel, content, self._process.limits.http_timeout):
                return False
        return True

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(WATCH_DELAY, self._look_after)
        try:
            while True:
                try:
                    return await self._done
                except asyncio.CancelledError:
                    # Some servers cancel everything at a stop; what is being answered may end within the grace.
                    if not self._process.stopping:
                        raise
                    self._done = loop.create_future()
        finally:
            self._timer.cancel()

    def _look_after(self) -> None:
        """Watch the client of a request that was not answered at once, and limit the time for that."""
        self._start_watching()
        left = self._process.limits.http_timeout - WATCH_DELAY
        self._timer = asyncio.get_running_loop().call_later(left, self._expire)

    # From the layer

    def reply(self, content: Content) -> None:
        """Take a message sent to this request."""
        events = self._exchange.reply(content)
        ack = content.get("ack")
        if ack and events:
            self._acks[id(events[-1])] = ack
        self._perform(events)

    def broadcast(self, content: Content) -> None:
        """Take a message sent to a group this request is in: the answer to a long poll, or a part of a stream."""
        self.reply(content)

    def take_will(self, again: bool) -> Send | None:
        """Return the last will. Only requests that are open for a while leave one: most are too short to need it."""
        if not self._dispatched or (self._has_will and not again):
            return None
        self._has_will = True
        content = {"reply_channel": self._exchange.reply_channel, "path": self._exchange.path}
        return self._process.layer.prepare_will("http.disconnect", content)

    def write_off(self) -> None:
        """End the request; consumers have been told of its end already."""
        self._has_will = self._dispatched = False
        self.end_grace()

    def end_grace(self) -> None:
        """End the request because the server stops and has waited long enough."""
        if self._exchange.state is State.WAITING:
            self._refuse(503, "The server is stopping.")
        else:
            self._cut_off()

    def _refuse(self, status: int, text: str) -> None:
        self._perform(self._exchange.refuse(status, text))

    def _expire(self) -> None:
        if self._exchange.state is State.WAITING:
            self._process.warn_unanswered(
                "http.request",
                "Request %r got no answer within %s s and becomes status 503.",
                self._exchange.path,
                self._process.limits.http_timeout,
            )
            self._refuse(503, "The server did not answer in time.")

    def _perform(self, events: Iterable[Event]) -> None:
        for event in events:
            if not self._outbox.put(event):
                logger.warning("Response to %r cut off: its client reads too slowly", self._exchange.path)
                self._cut_off()
                return
        if self._exchange.state is State.DONE:
            self._finish()

    def _cut_off(self) -> None:
        self._exchange.abort()
        self._outbox.cancel()
        self._finish()

    def _finish(self) -> None:
        if not self._done.done():
            self._done.set_result(None)

    def _acknowledge(self, event: Event) -> None:
        """Tell a worker that streams a response that the client has taken this part of it."""
        ack = self._acks.pop(id(event), None)
        if ack is not None:
            self._process.report(ack, {"closed": False})

    # The client has gone

    def _leave(self) -> None:
        self._gone = True
        self._finish()

    def _report_leaving(self) -> None:
        message = self._exchange.leave()
        if message is not None or self._exchange.aborted:
            for ack in self._acks.values():
                self._process.report(ack, {"closed": True})
        reply_channel = self._exchange.reply_channel
        if message is not None and self._dispatched:
            self._process.report("http.disconnect", message, patience=0.0, reply_channel=reply_channel)
        elif self._has_will:
            self._process.forget_will(reply_channel)
