"""Connect one HTTP request of an ASGI server with the channel layer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..layers.base import Content
from .dispatch import dispatch
from .http import Event, HttpExchange, Scope, State
from .outbox import Outbox

if TYPE_CHECKING:
    from .process import InterfaceProcess

logger = logging.getLogger(__name__)

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
        self._gone = False

    async def run(self) -> None:
        """Serve the request until it has been answered or its client has left."""
        self._process.replies.register(self._exchange.reply_channel, self)
        watcher = None
        try:
            rest = await self._dispatch_request()
            watcher = asyncio.create_task(self._watch(rest))
            await self._wait()
        finally:
            self._process.replies.forget(self._exchange.reply_channel)
            if watcher is not None:
                watcher.cancel()
            self._report_leaving()
        await self._outbox.drained()
        if self._exchange.aborted and not self._gone:
            raise ResponseAborted(f"The response to {self._exchange.path} could not be completed.")

    async def _dispatch_request(self) -> str | None:
        """Read the beginning of the body and send the request; return the channel for the rest of the body."""
        body, more = await self._read_body(self._process.limits.body_chunk_size)
        if self._gone:
            return None
        body_channel = self._process.layer.new_channel(BODY_PATTERN) if more else None
        message = self._exchange.request_message(self._scope, b"" if more else body, body_channel)
        if self._process.stopping:
            self._refuse(503, "The server is stopping.")
        elif not await dispatch(self._process.layer, "http.request", message):
            logger.warning("Request %s refused: %s", self._exchange.path, self._process.why_refused("http.request"))
            self._refuse(503, "The server is busy. Please try again.")
        elif body_channel is not None and await self._send_chunk(body_channel, body, more=True):
            return body_channel
        return None

    async def _read_body(self, at_least: int) -> tuple[bytes, bool]:
        """Read until the body has ended or comes to a size; return it and whether more follows."""
        parts: list[bytes] = []
        size, more = 0, True
        while more and size < at_least:
            event = await self._receive()
            if event["type"] == "http.disconnect":
                self._leave()
                return b"", False
            part = event.get("body", b"")
            parts.append(part)
            size += len(part)
            more = event.get("more_body", False)
        return parts[0] if len(parts) == 1 else b"".join(parts), more

    async def _watch(self, body_channel: str | None) -> None:
        """Hand on the rest of the body, then wait for the client to leave."""
        more = body_channel is not None
        while more and body_channel is not None:
            body, more = await self._read_body(self._process.limits.body_chunk_size)
            if self._gone:
                await dispatch(self._process.layer, body_channel, {"closed": True})
                return
            if not await self._send_chunk(body_channel, body, more):
                self._refuse(503, "The server is busy. Please try again.")
                return
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._leave()

    async def _send_chunk(self, body_channel: str, body: bytes, more: bool) -> bool:
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
        timer = asyncio.get_running_loop().call_later(self._process.limits.http_timeout, self._expire)
        try:
            while not self._done.done():
                try:
                    await asyncio.shield(self._done)
                except asyncio.CancelledError:
                    # Some servers cancel everything at a stop; what is being answered may end within the grace.
                    if not self._process.stopping:
                        raise
        finally:
            timer.cancel()

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

    def stop(self) -> None:
        """End the request because the server stops and its grace is over."""
        self._perform(self._exchange.refuse(503, "The server is stopping."))
        self._perform(self._exchange.abort())

    def _refuse(self, status: int, text: str) -> None:
        self._perform(self._exchange.refuse(status, text))

    def _expire(self) -> None:
        if self._exchange.state is State.WAITING:
            self._process.warn_unanswered(
                "http.request",
                "Request %s got no answer within %s s and becomes status 503.",
                self._exchange.path,
                self._process.limits.http_timeout,
            )
            self._refuse(503, "The server did not answer in time.")

    def _perform(self, events: Iterable[Event]) -> None:
        for event in events:
            if not self._outbox.put(event):
                logger.warning("Response to %s cut off: its client reads too slowly", self._exchange.path)
                self._exchange.abort()
                self._outbox.cancel()
                break
        if self._exchange.state is State.DONE and not self._done.done():
            self._done.set_result(None)

    def _acknowledge(self, event: Event) -> None:
        """Tell a worker that streams a response that the client has taken this part of it."""
        ack = self._acks.pop(id(event), None)
        if ack is not None:
            self._process.report(ack, {"closed": False})

    # The client has gone

    def _leave(self) -> None:
        self._gone = True
        if not self._done.done():
            self._done.set_result(None)

    def _report_leaving(self) -> None:
        message = self._exchange.leave()
        if message is not None or self._exchange.aborted:
            for ack in self._acks.values():
                self._process.report(ack, {"closed": True})
        if message is not None:
            self._process.report("http.disconnect", message, patience=0.0)
