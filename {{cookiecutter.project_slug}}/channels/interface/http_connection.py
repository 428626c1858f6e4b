"""Connect one HTTP request of an ASGI server with the channel layer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from typing import Any

from ..exceptions import MessageTooLarge
from ..layers.base import Content, Finish, Send, Ticket
from .connection import Connection
from .dispatch import dispatch
from .http import BUSY, CLOSE, Header, HttpExchange, State
from .outbox import ResponseOutbox
from .process import InterfaceProcess
from .request_body import BodyRefused, ClientLeft, RequestBody, headers_with_length
from .scope import Event, Scope
from .session import merged
from .spool import Buffer, SpoolFailed

logger = logging.getLogger(__name__)

# So long, in seconds, the client is not watched: most requests are answered sooner, and a task for each would cost more
# than the rest of it.
WATCH_DELAY = 0.05
BODY_PATTERN = "http.request.body?"
# A client that takes nothing of its response for so long, in seconds, loses it where others have no room for theirs.
IDLE_TIMEOUT = 60.0
# When there is no room at all, the end of a response may wait so long in memory, in seconds.
KEEP_TIMEOUT = 10.0


class ResponseAborted(Exception):
    """Is raised into the server to cut off a response that cannot be completed."""


class HttpConnection(Connection):
    """One request: drives its state machine with what comes from both sides."""

    def __init__(self, process: InterfaceProcess, scope: Scope, receive: Any, send: Any) -> None:
        self._process = process
        self._scope = scope
        self._receive = receive
        self.reply_channel = process.replies.new_channel()
        self._exchange = HttpExchange(scope["path"], self.reply_channel, scope["root_path"], scope["method"])
        self._body = RequestBody(scope, process.spool, process.limits)
        self._outbox = ResponseOutbox(send, Buffer(process.spool, process.limits.response_limit), self._send_failed)
        # Where a worker reads the body, while there is any of it that we have not sent.
        self._body_channel: str | None = None
        # Where the worker listens that sends a long response, and its name for it.
        self._worker: tuple[str, int] | None = None
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # True once a consumer may have heard of the request.
        self._dispatched = False
        self._gone = False
        self._has_will = False
        self.will_is_old = False
        # The values of the channel session, of which this is the owner. Replaced, never changed.
        self._session: Content = {}
        # What runs beside the request: the watch over its client, the rest of its body, the storing of its response.
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Serve the request until it has been answered or its client has left."""
        self._process.enter(self)
        try:
            await self._serve()
            if self._outbox.is_sending:
                # The worker is done; what is left is between the client and us.
                self._begin("watch", self._watch())
                self._begin("response", self._keep_response())
                await self._deliver()
        finally:
            for task in self._tasks.values():
                task.cancel()
            self._body.content.close()
            self._outbox.cancel()
            self._process.leave(self)
        if self._exchange.aborted and not self._gone:
            raise ResponseAborted(f"The response to {self._exchange.path} could not be completed.")

    async def _serve(self) -> None:
        """Take the request, have it answered, and take the answer."""
        if not await self._take_body():
            return
        self._process.replies.register(self.reply_channel, self)
        try:
            await self._dispatch_request()
            await self._wait()
        finally:
            self._process.replies.forget(self.reply_channel)
            self._report_leaving()

    async def _keep_response(self) -> None:
        async with asyncio.timeout(KEEP_TIMEOUT):
            await self._outbox.buffer.settle(wait=True)

    async def _deliver(self) -> None:
        """Wait until the client has all of its response, unless it takes nothing of it."""
        idle = 0.0
        while self._outbox.is_sending:
            before = self._outbox.given
            await self._outbox.drained(IDLE_TIMEOUT)
            idle = idle + IDLE_TIMEOUT if before == self._outbox.given else 0.0
            if idle >= self._process.limits.response_timeout or (idle and self._process.spool.is_full):
                logger.info("Response to %r cut off: its client takes nothing", self._exchange.path)
                self._cut_off()
                return

    async def _take_body(self) -> bool:
        """Take the whole body; return False, and answer the client, if that cannot be done."""
        try:
            await self._body.read(self._receive)
        except ClientLeft:
            self._leave()
        except BodyRefused as error:
            logger.info("Request %r refused with status %d: %s", self._exchange.path, error.status, error)
            # Whatever follows belongs to this body. In HTTP/2 each request has a stream of its own.
            is_last = self._scope.get("http_version", "1.1").startswith("1")
            self._refuse(error.status, str(error), *([CLOSE] if is_last else []))
        return self._exchange.state is State.WAITING and not self._gone

    async def _dispatch_request(self) -> None:
        """Send the request to a worker, and then its body if that is too large to travel with it."""
        in_chunks = self._body.size > self._chunk_size
        if in_chunks:
            self._body_channel = self._process.layer.new_channel(BODY_PATTERN)
        body = b""
        if self._body.size and not in_chunks:
            body = b"".join([part async for part in self._body.chunks(self._chunk_size)])
        message = self._exchange.request_message(self._scope, body, self._body_channel)
        if self._body.declared is None and self._body.size:
            message["headers"] = headers_with_length(message["headers"], self._body.size)
        if reason := self._process.reason_to_refuse("http.request"):
            self._process.log_refused("Request %r refused", self._exchange.path, "http.request")
            # How the site is run is nothing for its visitors.
            self._refuse(503, reason if self._process.stopping else BUSY)
            return
        self._dispatched = True
        layer = self._process.layer
        try:
            if not await dispatch(layer, layer.prepare("http.request", message, ticket=Ticket(None, self._session))):
                self._process.log_refused("Request %r refused", self._exchange.path, "http.request")
                self._refuse(503, BUSY)
            elif self._body_channel is not None and not self._done.done():
                self._begin("body", self._hand_on_body(self._body_channel))
        except MessageTooLarge as error:
            logger.warning("Request %r refused: %s", self._exchange.path, error)
            self._refuse(431, "The address or the headers of the request are too large.")

    @property
    def _chunk_size(self) -> int:
        return min(self._process.limits.body_chunk_size, self._process.layer.chunk_size)

    async def _hand_on_body(self, channel: str) -> None:
        left = self._body.size
        async for part in self._body.chunks(self._chunk_size):
            left -= len(part)
            message = {"content": part, "more_content": left > 0}
            # Workers that are busy with other requests may need as long as any request may wait.
            layer = self._process.layer
            if not await dispatch(layer, layer.prepare(channel, message), self._process.limits.http_timeout):
                self._refuse(503, BUSY)
                return
        self._body_channel = None

    def _begin(self, kind: str, coroutine: Coroutine[Any, Any, None]) -> None:
        """Do something beside the request, unless it is being done."""
        if kind in self._tasks and not self._tasks[kind].done():
            coroutine.close()
        else:
            self._tasks[kind] = asyncio.get_running_loop().create_task(self._guarded(coroutine))

    async def _guarded(self, coroutine: Coroutine[Any, Any, None]) -> None:
        try:
            await coroutine
        except (SpoolFailed, TimeoutError) as error:
            logger.warning("Response to %r cut off: there is no room to keep it: %r", self._exchange.path, error)
            self._cut_off()
        except Exception:
            logger.exception("Request %r cannot go on", self._exchange.path)
            self._cut_off()

    async def _watch(self) -> None:
        """Wait for the client to leave."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._leave()

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
                    if self._gone or self._exchange.state is State.DONE:
                        return None
                    self._done = loop.create_future()
        finally:
            self._timer.cancel()

    def _look_after(self) -> None:
        """Watch the client of a request that was not answered at once, and limit the time for that."""
        self._begin("watch", self._watch())
        left = self._process.limits.http_timeout - WATCH_DELAY
        self._timer = asyncio.get_running_loop().call_later(left, self._expire)

    # From the layer

    def reply(self, content: Content) -> None:
        """Take a message sent to this request."""
        worker = content.get("worker")
        if worker is not None:
            self._worker = (worker[0], worker[1])
            if len(content) == 1:
                # It will answer later, and wants to know if the client leaves before.
                return
        self._perform(self._exchange.reply(content))
        if content.get("ack"):
            if self._exchange.state is State.DONE:
                self._tell_worker(closed=True)
            else:
                self._begin("response", self._acknowledge())

    def broadcast(self, content: Content) -> None:
        """Take a message sent to a group this request is in: the answer to a long poll, or a part of a stream."""
        self.reply(content)

    def finished(self, finish: Finish) -> None:
        """Take what a consumer has changed in the session."""
        self._session = merged(self._session, finish, self._process.limits.session_size)
        if self._has_will:
            self._process.renew_will_soon(self)

    def take_will(self, again: bool) -> Send | None:
        """Return the last will. Only requests that are open for a while leave one: most are too short to need it."""
        if not self._dispatched or (self._has_will and not again and not self.will_is_old):
            return None
        self._has_will, self.will_is_old = True, False
        message, ticket = self._exchange.disconnect_message(), Ticket(None, self._session)
        return self._process.layer.prepare_will("http.disconnect", message, ticket)

    def write_off(self) -> None:
        """End the request; consumers have been told of its end already."""
        self._has_will = self._dispatched = False
        self.end_grace()

    def end_grace(self) -> None:
        """End the request because the server stops and has waited long enough."""
        self._body.give_up()
        if self._exchange.state is State.WAITING:
            self._refuse(503, "The server is stopping.")
        else:
            self._cut_off()

    def _refuse(self, status: int, text: str, *headers: Header) -> None:
        """Answer for the worker, which is told so: what it still does is for nobody."""
        events = self._exchange.answer(status, text, *headers)
        self._perform(events)
        if events:
            self._tell_worker(closed=True)

    def _expire(self) -> None:
        if self._exchange.state is State.WAITING:
            text, limit = (
                "Request %r got no answer within %s s and becomes status 503.",
                self._process.limits.http_timeout,
            )
            self._process.warn_unanswered("http.request", text, self._exchange.path, limit)
            self._refuse(503, "The server did not answer in time.")

    def _perform(self, events: Iterable[Event]) -> None:
        for event in events:
            self._outbox.put(event)
        if self._exchange.aborted:
            self._cut_off()
        elif self._exchange.state is State.DONE:
            self._finish()
        elif self._worker is None and self._outbox.buffer.size > self._process.limits.response_outbox_size:
            # Whoever sends it does not wait for the client, as a worker would.
            logger.warning("Response to %r cut off: its client reads too slowly", self._exchange.path)
            self._cut_off()

    async def _acknowledge(self) -> None:
        """Tell the worker that sends a response that we have taken what there is of it, once it has found room."""
        await self._outbox.buffer.settle(wait=True)
        self._tell_worker(closed=False)

    def _tell_worker(self, closed: bool) -> None:
        if self._worker is not None:
            channel, response = self._worker
            self._process.tell(channel, {"response": response, "closed": closed})

    def _send_failed(self, error: Exception) -> None:
        """The server has not taken an event: that of a client that has gone, or one that it takes for wrong."""
        if self._gone or isinstance(error, OSError):
            self._leave()
        else:
            if not isinstance(error, SpoolFailed):
                logger.warning("The server has thrown away the response to %r: %r", self._exchange.path, error)
            self._exchange.abort()
            self._tell_worker(closed=True)
            self._finish()

    def _cut_off(self) -> None:
        """End the response before its end, unless the server has all of it."""
        if not self._outbox.has_begun:
            self._outbox.clear()
            for event in self._exchange.abort(seen=False):
                self._outbox.put(event)
        elif not self._outbox.is_over:
            self._exchange.abort()
            self._outbox.cancel()
        self._tell_worker(closed=True)
        self._finish()

    def _finish(self) -> None:
        if not self._done.done():
            self._done.set_result(None)

    # The client has gone

    def _leave(self) -> None:
        self._gone = True
        self._outbox.cancel()
        self._finish()

    def _report_leaving(self) -> None:
        """Tell consumers of a client that has left before it was answered, and the worker that sends its response."""
        message = self._exchange.leave()
        if message is not None:
            self._tell_worker(closed=True)
        if self._body_channel is not None and self._dispatched:
            self._process.tell(self._body_channel, {"closed": True})
        if message is not None and self._dispatched:
            ticket = Ticket(None, self._session)
            self._process.tell("http.disconnect", message, self.reply_channel, ticket, patience=0.0)
        elif self._has_will:
            self._process.keep(self._process.forget_will(self.reply_channel))
        # Nor does a will that is about to be renewed come back.
        self._dispatched = False
