"""
Make up for what daphne leaves to the application. Under other servers nothing here has an effect.

- daphne knows no lifespan, so it would end before the consumers have been told of the end of the sockets:
  Twisted's shutdown is made to wait for that.
- It takes whatever the application sends and whatever a client sends, and keeps it in memory: here ``send``
  returns when Twisted has room for more. Nothing is read from a socket that the application is not ready for, or
  whose client does not read, not even pings. What comes after a close frame of ours is dropped.
- It gives a consumer five seconds to answer the connect message: here that is for the settings to say.
- It cuts the connection of a client that sends too large a frame, without a word: the client gets code 1009.
- It never sends empty frames, and closes sockets only with the codes that applications may use, which 1012
  and 1013 are not: both are sent by its WebSocket protocol directly.
- It cuts off clients that do not answer a close frame within a second, which slow ones cannot: they have longer here,
  twenty seconds when it is the application that closes, five when it is a frame that breaks the protocol.
- It takes bodies of any size and at any pace, and then keeps them in memory: here the limits hold, and a body stays in
  the file that Twisted has put it in until it is asked for.
- It takes apart in one go what it reads at once, 64 KiB: of a client that floods here less is read at a time.
- It pings all sockets that are due at once, which are all those that have been opened at once: here in turns. And it
  expects a pong within a limit also from a socket that is not read, as while its consumer takes long: not here.
- It lets fifty clients wait to be accepted. When all come back at once, after a restart, the others would wait a second
  and longer for their next try: as many may wait as the system allows.
- Of a socket it tells the path as a parser of addresses sees it, which takes ``//host/path`` for an address; joins
  headers of one name by commas, cookies too; and knows no scheme: all comes from its HTTP request here.
- Of what a proxy says of its client it believes the first address, which the client may have forged, and a scheme only
  beside an address: here it is the last address, and a scheme that is one.
- When an application raises in the middle of a response, so that it may be cut off, daphne tries to begin
  another one, and its housekeeping dies of that: the connection is closed here.
- Any client can set the root path by the header ``Daphne-Root-Path``, and with it every link of a page: here it is the
  one the server was started with, and ``scope`` asks the settings whether that header is believed.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import math
import socket
import sys
import time
from typing import Any
from urllib.parse import unquote

from ...values.turn import Turn
from ..process import InterfaceProcess
from ..socket_connection import CLOSE_TIMEOUT
from .daphne_request import limited_request, receive_of

logger = logging.getLogger(__name__)

# So many bytes are read from a socket at once. All frames in them are taken apart in one go: a thousand small ones in
# the 64 KiB that Twisted reads take forty milliseconds, in which nobody else has a turn.
READ_SIZE = 4096
# Seconds that a client whose frame breaks the protocol has to answer the close frame.
FAILURE_TIMEOUT = 5.0
# So often, in seconds, daphne looks for connections to ping or to give up.
CHECK_INTERVAL = 2.0


def adapt(scope: Any, receive: Any, send: Any) -> tuple[Any, Any, Any]:
    """Return what an application gets for a connection, mended if it is one of daphne's."""
    protocol = _protocol_behind(send)
    if protocol is None:
        return scope, receive, send
    scope = _told_by(protocol, scope)
    if scope["type"] == "websocket":
        socket = DaphneSocket(receive, send, protocol)
        return scope, socket.receive, socket.send
    return scope, receive_of(protocol, receive), ResponseSend(send, protocol)


def cut_off(send: Any) -> bool:
    """Close the connection of a response that has begun and cannot be completed, if it is one of daphne's."""
    if not isinstance(send, ResponseSend):
        return False
    send.cut_off()
    return True


def prepare(process: InterfaceProcess) -> None:
    """
    Prepare daphne, if it is its event loop that runs, for many clients at once and for its end.

    Twisted's shutdown waits until the process has stopped.
    """
    module = sys.modules.get("daphne.server")
    if module is None or asyncio.get_running_loop() is not module.twisted_loop:
        return
    from twisted.internet import defer, reactor, tcp

    readers: Any = reactor
    for reader in readers.getReaders():
        if isinstance(reader, tcp.Port):
            reader.socket.listen(socket.SOMAXCONN)
    http_protocol: Any = sys.modules["daphne.http_protocol"]
    http_protocol.WebRequest = limited_request(process.limits, process.spool)
    module.Server.timeout_checker = check_timeouts

    def wait() -> Any:
        return defer.Deferred.fromFuture(asyncio.ensure_future(process.stop()))

    add_trigger: Any = reactor.addSystemEventTrigger
    add_trigger("before", "shutdown", wait)


def check_timeouts(server: Any) -> None:
    """Have daphne look after its connections from now on, in turns."""
    server.checking_timeouts = asyncio.ensure_future(_keep_checking(server))


async def _keep_checking(server: Any) -> None:
    turn = Turn(asyncio.get_running_loop().time)
    while True:
        for protocol in list(server.connections):
            if turn.is_over:
                await turn.give_way()
            try:
                if getattr(protocol, "is_not_read", False):
                    _expect_no_pong(protocol)
                protocol.check_timeouts()
            except Exception:
                logger.exception("Daphne could not look after a connection")
        await asyncio.sleep(CHECK_INTERVAL)


def _expect_no_pong(protocol: Any) -> None:
    """Have daphne neither ping a socket now nor cut it off because of the ping before."""
    protocol.last_ping = time.time()
    if protocol.autoPingTimeoutCall is not None:
        protocol.autoPingTimeoutCall.cancel()
        protocol.autoPingTimeoutCall = protocol.autoPingPending = None


class Brake:
    """Tells when a connection has room for more. To Twisted it is a producer, which is told to pause and resume."""

    __slots__ = ("_full",)

    def __init__(self) -> None:
        # Pending while there is no room. Few connections get that far, and each ``asyncio.Event`` takes a kilobyte.
        self._full: asyncio.Future[None] | None = None

    async def wait_for_room(self) -> None:
        """Wait until all that was written has been sent."""
        if self._full is not None:
            await asyncio.wait([self._full])

    def pauseProducing(self) -> None:
        """Be told that more has been written than is sent at once."""
        if self._full is None:
            self._full = asyncio.get_running_loop().create_future()

    def resumeProducing(self) -> None:
        """Be told that all has been sent."""
        self._release()

    def stopProducing(self) -> None:
        """Be told that the connection has been lost."""
        self._release()

    def _release(self) -> None:
        if self._full is not None:
            self._full.set_result(None)
            self._full = None


class ResponseSend:
    """The ``send`` of a request."""

    def __init__(self, send: Any, request: Any) -> None:
        self._send = send
        self._request = request
        self._brake: Brake | None = None

    async def __call__(self, event: Any) -> None:
        """Send an event, and return when there is room for more."""
        more, request = event.get("more_body"), self._request
        if request.channel is not None and more and self._brake is None:
            self._brake = Brake()
            request.registerProducer(self._brake, True)
        elif request.channel is not None and not more and self._brake is not None:
            request.unregisterProducer()
            self._brake = None
        await self._send(event)
        if self._brake is not None:
            await self._brake.wait_for_room()

    def cut_off(self) -> None:
        """Close the connection in the middle of the response."""
        channel = self._request.channel
        if channel is not None:
            # HTTP/2 has a way to abort one of its streams; in HTTP/1 a response ends with its connection.
            (getattr(channel, "abortConnection", None) or channel.loseConnection)()


class DaphneSocket(Brake):
    """The ``receive`` and the ``send`` of a WebSocket, with the brake on what is read and written."""

    __slots__ = ("_protocol", "_receive", "_send", "_wants_more")

    def __init__(self, receive: Any, send: Any, protocol: Any) -> None:
        super().__init__()
        self._receive = receive
        self._send = send
        self._protocol = protocol
        self._wants_more = True
        # How long a consumer may take to answer is for ``handshake_timeout`` to say, not for two limits of daphne.
        protocol.server.websocket_connect_timeout = math.inf
        if protocol.openHandshakeTimeoutCall is not None:
            protocol.openHandshakeTimeoutCall.cancel()
            protocol.openHandshakeTimeoutCall = None
        # A frame above daphne's limits is answered with close code 1009, not by a cut connection.
        protocol.failByDrop = False
        protocol.closeHandshakeTimeout = FAILURE_TIMEOUT
        protocol.transport.bufferSize = READ_SIZE

    async def receive(self) -> Any:
        """Return the next event. Nothing is read from the client until the one after that is asked for."""
        # What ``receive`` belongs to is the queue of the events that have been read already.
        if self._receive.__self__.empty():
            self._ask_for_more(True)
        try:
            event = await self._receive()
        except asyncio.CancelledError:
            # Nobody will ask again.
            self._ask_for_more(False)
            raise
        if event["type"] == "websocket.receive":
            self._ask_for_more(False)
        return event

    async def send(self, event: Any) -> None:
        """Send an event, and return when there is room for more."""
        protocol, kind = self._protocol, event["type"]
        if protocol.state != protocol.STATE_OPEN:
            await self._send(event)
            if kind == "websocket.accept" and protocol.state == protocol.STATE_OPEN:
                self._put_brake_on()
        elif kind == "websocket.send":
            _send_frame(protocol, event)
            await self.wait_for_room()
        elif kind == "websocket.close":
            self._listen_for_the_answer()
            code = event.get("code", 1000)
            if code == 1000 or 3000 <= code <= 4999:
                await self._send(event)
            else:
                protocol.sendCloseFrame(code)
        else:
            await self._send(event)

    def pauseProducing(self) -> None:
        """Be told that more has been written than is sent at once, which may be the answers to pings."""
        super().pauseProducing()
        self._regulate_reading()

    def resumeProducing(self) -> None:
        """Be told that all has been sent."""
        super().resumeProducing()
        transport = self._protocol.transport
        if transport.disconnecting:
            # Twisted does not close a connection that has a producer.
            transport.unregisterProducer()
        else:
            self._regulate_reading()

    def _put_brake_on(self) -> None:
        # Until now it was the HTTP side of the connection that was told to pause.
        transport = self._protocol.transport
        transport.unregisterProducer()
        transport.registerProducer(self, True)

    def _listen_for_the_answer(self) -> None:
        """Read the answer to a close frame of ours, and drop whatever comes before it."""
        self._protocol.muted = True
        self._protocol.closeHandshakeTimeout = 2 * CLOSE_TIMEOUT
        self._regulate_reading()

    def _ask_for_more(self, wants_more: bool) -> None:
        if wants_more != self._wants_more:
            self._wants_more = wants_more
            self._protocol.is_not_read = not wants_more
            self._regulate_reading()

    def _regulate_reading(self) -> None:
        """Read if the application wants more and the client takes what it gets, or if nothing is kept anyway."""
        protocol = self._protocol
        if protocol.muted or protocol.failedByMe or (self._wants_more and self._full is None):
            protocol.transport.resumeProducing()
        else:
            protocol.transport.pauseProducing()


def _send_frame(protocol: Any, event: Any) -> None:
    text = event.get("text")
    if text is not None:
        protocol.sendMessage(text.encode(), False)
    else:
        protocol.sendMessage(event["bytes"], True)


def _told_by(protocol: Any, scope: Any) -> Any:
    """Return the scope with what the request behind it says."""
    server, request = protocol.server, protocol if scope["type"] == "http" else _request_before(protocol)
    scope = {**scope, "root_path": server.root_path}
    if request is None:
        return scope
    raw_path, _, query = request.uri.partition(b"?")
    headers = [(name.lower(), value) for name, values in request.requestHeaders.getAllRawHeaders() for value in values]
    scope |= {"raw_path": raw_path, "path": unquote(raw_path.decode("latin-1")), "query_string": query}
    scope |= {"headers": headers, "scheme": "https" if request.isSecure() else "http"}
    if forwarded := _last_value(headers, server.proxy_forwarded_address_header):
        scope["client"] = [forwarded.rpartition(",")[2].strip(), 0]
    if (scheme := _last_value(headers, server.proxy_forwarded_proto_header)) in ("http", "https", "ws", "wss"):
        scope["scheme"] = scheme
    return scope


def _last_value(headers: list[tuple[bytes, bytes]], name: str | None) -> str:
    values = [value for key, value in headers if name and key == name.lower().encode()]
    return values[-1].decode("latin-1").strip() if values else ""


def _request_before(protocol: Any) -> Any:
    """Return the request with which a socket has begun; None if its client has left again."""
    # The HTTP side of the connection is its producer until the socket is accepted. TLS has it in a wrapping.
    transport = protocol.transport
    producer = getattr(transport, "producer", None) or getattr(transport, "_producer", None)
    requests = getattr(getattr(producer, "_producer", producer), "requests", None)
    return requests[0] if requests else None


def _protocol_behind(send: Any) -> Any:
    """Return daphne's protocol object: its ``send`` is a partial of ``Server.handle_reply`` over it. None elsewhere."""
    module = sys.modules.get("daphne.server")
    if module is None or not isinstance(send, functools.partial):
        return None
    server = getattr(send.func, "__self__", None)
    return send.args[0] if isinstance(server, module.Server) else None
