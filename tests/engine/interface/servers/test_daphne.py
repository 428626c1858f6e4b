"""What is made up for behind daphne, with stand-ins for its protocol objects. The server itself: ``tests/servers``."""

import asyncio
import functools
import time
from types import SimpleNamespace

import pytest
from daphne.server import Server
from twisted.web.http_headers import Headers

from channels.interface.servers import daphne

from ..simulated_time import longest_pause, settle


class RecordingServer(Server):
    """A server of daphne's that writes down what an application sends."""

    def __init__(self, **options):
        super().__init__(application=None, endpoints=["unused"], root_path="/site", **options)
        self.sent = []

    async def handle_reply(self, protocol, message):
        self.sent.append(message)
        if message["type"] == "websocket.accept":
            protocol.state = protocol.STATE_OPEN


class Transport:
    """A connection of Twisted's; ``producer`` is told when to pause and when to resume."""

    def __init__(self):
        self.producer = "the HTTP side"
        self.disconnecting = False
        self.reads = True

    def pauseProducing(self):
        self.reads = False

    def resumeProducing(self):
        self.reads = True

    def registerProducer(self, producer, streaming):
        assert (self.producer, streaming) == (None, True)
        self.producer = producer

    def unregisterProducer(self):
        self.producer = None


class SocketProtocol:
    """A WebSocket protocol of daphne's."""

    kind = "websocket"
    STATE_CONNECTING, STATE_CLOSING, STATE_OPEN = 1, 2, 3
    muted = failedByMe = False

    def __init__(self):
        self.server = RecordingServer()
        self.openHandshakeTimeoutCall = None
        self.events = asyncio.Queue()
        self.transport = Transport()
        self.state = self.STATE_OPEN
        self.written = []

    def sendMessage(self, payload, isBinary):
        self.written.append((payload, isBinary))

    def sendCloseFrame(self, code):
        self.written.append(code)


class Request:
    """A request of daphne's."""

    content = None

    kind = "http"

    def __init__(self, target=b"/", headers=(), secure=False, server=None, **channel):
        self.server = server or RecordingServer()
        self.uri = target
        self.requestHeaders = Headers()
        for name, value in headers:
            self.requestHeaders.addRawHeader(name, value)
        self.isSecure = lambda: secure
        self.events = asyncio.Queue()
        self.closed = []
        self.channel = SimpleNamespace(loseConnection=lambda: self.closed.append("connection"), **channel)
        self.producer = None

    def registerProducer(self, producer, streaming):
        assert (self.producer, streaming) == (None, True)
        self.producer = producer

    def unregisterProducer(self):
        self.producer = None


def adapt(protocol, **scope):
    """Return what the application gets for a connection."""
    send = functools.partial(protocol.server.handle_reply, protocol)
    return daphne.adapt({"type": protocol.kind, "root_path": "", "path": "/", **scope}, protocol.events.get, send)


def adapted_send(protocol):
    return adapt(protocol)[2]


async def accepted(protocol):
    """Return what the application gets for a socket that it has accepted."""
    protocol.state = protocol.STATE_CONNECTING
    _, receive, send = adapt(protocol)
    await send({"type": "websocket.accept"})
    return receive, send


def part(more=True):
    return {"type": "http.response.body", "body": b"part", "more_body": more}


# Which connections are mended


def test_the_root_path_is_the_servers_and_no_clients():
    for protocol in (Request(), SocketProtocol()):
        scope, _, _ = adapt(protocol, root_path="/from/a/header")

        assert scope["root_path"] == "/site"


def socket_of(request, encrypted=False):
    """Return the protocol of a socket that has begun with a request."""
    protocol = SocketProtocol()
    protocol.server = request.server
    http_side = SimpleNamespace(requests=[request])
    if encrypted:
        protocol.transport = SimpleNamespace(_producer=SimpleNamespace(_producer=http_side))
    else:
        protocol.transport.producer = http_side
    return protocol


def told_by(request):
    """Return the scopes of a page and of sockets with the same request; those of sockets know little."""
    scopes = [adapt(protocol)[0] for protocol in (request, socket_of(request), socket_of(request, encrypted=True))]
    assert [scope.pop("type") for scope in scopes] == ["http", "websocket", "websocket"]
    assert scopes[1:] == scopes[:2]
    return scopes[0]


def test_a_socket_is_told_of_like_a_page():
    headers = [(b"Cookie", b"a=1, 2"), (b"X-Name", b"x"), (b"cookie", b"b=3")]

    assert told_by(Request(b"//a;b/%C3%A9?c?d", headers, secure=True)) == {
        "path": "//a;b/é",
        "raw_path": b"//a;b/%C3%A9",
        "query_string": b"c?d",
        "root_path": "/site",
        "scheme": "https",
        "headers": [(b"cookie", b"a=1, 2"), (b"cookie", b"b=3"), (b"x-name", b"x")],
    }


def test_a_socket_whose_client_has_left_again_has_what_daphne_knows():
    protocol = SocketProtocol()
    protocol.transport.producer = None

    assert adapt(protocol, path="/known")[0] == {"type": "websocket", "path": "/known", "root_path": "/site"}


@pytest.mark.parametrize(
    ("headers", "scheme", "client"),
    [
        ([], "http", None),
        ([(b"X-Forwarded-For", b"forged, 192.0.2.7"), (b"X-Forwarded-Proto", b"https")], "https", ["192.0.2.7", 0]),
        ([(b"X-Forwarded-For", b"forged"), (b"x-forwarded-for", b" 192.0.2.7 ")], "http", ["192.0.2.7", 0]),
        ([(b"X-Forwarded-For", b""), (b"X-Forwarded-Proto", b"wss")], "wss", None),
        ([(b"X-Forwarded-Proto", b"javascript")], "http", None),
    ],
)
def test_what_a_proxy_says_counts_where_daphne_is_told_to_believe_it(headers, scheme, client):
    server = RecordingServer(
        proxy_forwarded_address_header="X-Forwarded-For", proxy_forwarded_proto_header="X-Forwarded-Proto"
    )

    believed = told_by(Request(headers=headers, server=server))
    ignored = told_by(Request(headers=headers))

    assert (believed["scheme"], believed.get("client")) == (scheme, client)
    assert (ignored["scheme"], ignored.get("client")) == ("http", None)


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_other_servers_are_left_alone(kind):
    async def receive():
        pass

    async def send(event):
        pass

    scope = {"type": kind, "root_path": "/site"}
    for foreign in (send, functools.partial(send, "x"), functools.partial(print, "x")):
        assert daphne.adapt(scope, receive, foreign) == (scope, receive, foreign)
        assert not daphne.cut_off(foreign)


# Sockets


@pytest.mark.parametrize(
    ("event", "written"),
    [
        ({"text": "é"}, ("é".encode(), False)),
        ({"text": ""}, (b"", False)),
        ({"bytes": b"\x00"}, (b"\x00", True)),
        ({"bytes": b""}, (b"", True)),
        ({"bytes": b"", "text": None}, (b"", True)),
    ],
)
async def test_every_kind_of_frame_is_sent(event, written):
    protocol = SocketProtocol()
    send = adapted_send(protocol)

    await send({"type": "websocket.send", **event})

    assert (protocol.written, protocol.server.sent) == ([written], [])


@pytest.mark.parametrize("code", [1001, 1008, 1011, 1012, 1013])
async def test_a_code_that_daphne_refuses_is_sent_by_its_protocol(code):
    protocol = SocketProtocol()
    send = adapted_send(protocol)

    await send({"type": "websocket.close", "code": code})

    assert (protocol.written, protocol.server.sent) == ([code], [])


@pytest.mark.parametrize("event", [{"code": 1000}, {"code": 3000}, {"code": 4999}, {}])
async def test_other_closes_are_left_to_daphne(event):
    protocol = SocketProtocol()
    send = adapted_send(protocol)

    await send({"type": "websocket.close", **event})

    assert (protocol.written, protocol.server.sent) == ([], [{"type": "websocket.close", **event}])


@pytest.mark.parametrize("event", [{"type": "websocket.accept"}, {"type": "websocket.close", "code": 1013}])
async def test_a_socket_that_is_not_open_yet_is_left_to_daphne(event):
    protocol = SocketProtocol()
    protocol.state = protocol.STATE_CONNECTING
    send = adapted_send(protocol)

    await send(event)

    assert (protocol.written, protocol.server.sent) == ([], [event])


async def test_a_frame_counts_as_sent_when_twisted_has_room_for_more():
    protocol = SocketProtocol()
    _, send = await accepted(protocol)
    await send({"type": "websocket.send", "text": "1"})
    protocol.transport.producer.pauseProducing()

    sending = asyncio.create_task(send({"type": "websocket.send", "text": "2"}))
    await settle()
    assert not sending.done()

    protocol.transport.producer.resumeProducing()
    await settle()
    assert sending.done()
    assert protocol.written == [(b"1", False), (b"2", False)]


@pytest.mark.parametrize("end", ["stopProducing", "resumeProducing"])
async def test_a_connection_that_ends_lets_go_of_what_waits(end):
    protocol = SocketProtocol()
    _, send = await accepted(protocol)
    await send({"type": "websocket.send", "text": "1"})
    producer = protocol.transport.producer
    producer.pauseProducing()
    sending = asyncio.create_task(send({"type": "websocket.send", "text": "2"}))
    await settle()

    protocol.transport.disconnecting = True
    getattr(producer, end)()
    await settle()

    assert sending.done()
    # Twisted closes no connection whose producer may have more to say.
    assert protocol.transport.producer is (producer if end == "stopProducing" else None)


async def test_nothing_is_read_from_a_client_that_the_application_is_not_ready_for():
    protocol = SocketProtocol()
    _, receive, _ = adapt(protocol)
    for event in ({"type": "websocket.connect"}, {"type": "websocket.receive", "text": "1"}):
        protocol.events.put_nowait(event)
    protocol.events.put_nowait({"type": "websocket.receive", "text": "2"})

    await receive()
    assert protocol.transport.reads

    await receive()
    assert not protocol.transport.reads
    await receive()
    # Two frames had come at once, so nothing was read for the second.
    assert not protocol.transport.reads

    waiting = asyncio.create_task(receive())
    await settle()
    assert protocol.transport.reads
    waiting.cancel()


async def test_the_answer_to_a_close_frame_is_read():
    protocol = SocketProtocol()
    _, receive, send = adapt(protocol)
    protocol.events.put_nowait({"type": "websocket.receive", "text": "1"})
    await receive()

    await send({"type": "websocket.close", "code": 1013})

    assert protocol.transport.reads
    # What else comes before that is not kept.
    assert protocol.muted


async def test_nothing_is_read_once_nobody_asks_any_more():
    protocol = SocketProtocol()
    _, receive, send = adapt(protocol)
    waiting = asyncio.create_task(receive())
    await settle()

    waiting.cancel()
    await settle()
    assert not protocol.transport.reads

    await send({"type": "websocket.close", "code": 1013})
    assert protocol.transport.reads


async def test_nothing_is_read_from_a_client_that_does_not_read():
    protocol = SocketProtocol()
    receive, _ = await accepted(protocol)
    producer = protocol.transport.producer

    # The answers to pings have piled up.
    producer.pauseProducing()
    assert not protocol.transport.reads
    producer.resumeProducing()
    assert protocol.transport.reads

    # Now the application does not want any more.
    protocol.events.put_nowait({"type": "websocket.receive", "text": "1"})
    await receive()
    producer.pauseProducing()
    producer.resumeProducing()
    assert not protocol.transport.reads


async def test_the_answer_of_a_client_that_does_not_read_is_waited_for():
    protocol = SocketProtocol()
    _, send = await accepted(protocol)
    protocol.transport.producer.pauseProducing()

    await send({"type": "websocket.close", "code": 1013})
    protocol.transport.producer.pauseProducing()

    assert protocol.transport.reads


async def test_a_sender_that_is_cut_off_takes_nobody_along():
    protocol = SocketProtocol()
    _, send = await accepted(protocol)
    protocol.transport.producer.pauseProducing()
    sending = [asyncio.create_task(send({"type": "websocket.send", "text": text})) for text in "12"]
    await settle()

    sending[0].cancel()
    await settle()
    assert not sending[1].done()

    protocol.transport.producer.resumeProducing()
    await sending[1]


# Responses


async def test_a_part_of_a_response_counts_as_sent_when_twisted_has_room_for_more():
    request = Request()
    send = adapted_send(request)
    await send({"type": "http.response.start", "status": 200})
    await send(part())
    request.producer.pauseProducing()

    sending = asyncio.create_task(send(part()))
    await settle()
    assert not sending.done()

    request.producer.resumeProducing()
    await sending
    await send(part(more=False))
    assert len(request.server.sent) == 4
    assert request.producer is None


async def test_a_response_in_one_part_waits_for_nobody():
    request = Request()
    send = adapted_send(request)

    await send({"type": "http.response.start", "status": 200})
    await send(part(more=False))

    assert (request.producer, len(request.server.sent)) == (None, 2)


async def test_a_client_that_has_left_is_no_mistake():
    request = Request()
    send = adapted_send(request)
    await send(part())
    request.channel = None

    await send(part())
    await send(part(more=False))
    assert daphne.cut_off(send)


def test_a_response_is_cut_off_with_its_connection():
    request = Request()

    assert daphne.cut_off(adapted_send(request))
    assert request.closed == ["connection"]


def test_of_a_connection_with_several_streams_only_one_is_cut_off():
    aborted = []
    request = Request(abortConnection=lambda: aborted.append("stream"))

    assert daphne.cut_off(adapted_send(request))
    assert (aborted, request.closed) == (["stream"], [])


# The stop


async def test_another_event_loop_than_daphnes_is_left_alone():
    daphne.prepare(None)


async def test_all_connections_are_looked_after_in_turns(caplog):
    class Connection:
        def check_timeouts(self):
            looked_after.append(self)
            loop.pass_time(0.0001)
            if len(looked_after) == 3:
                raise RuntimeError("This one is broken.")

    looked_after, loop, server = [], asyncio.get_running_loop(), RecordingServer()
    server.connections = {Connection(): {} for _ in range(1000)}
    daphne.check_timeouts(server)

    assert await longest_pause(lambda: len(looked_after) == 1000) < 0.0015
    assert looked_after == list(server.connections)
    assert caplog.messages == ["Daphne could not look after a connection"]
    await asyncio.sleep(2.5)
    assert len(looked_after) == 2000
    server.checking_timeouts.cancel()


class PingingProtocol(SocketProtocol):
    """A socket that has been sent a ping and expects its pong; another one is due."""

    def __init__(self):
        super().__init__()
        self.last_ping, self.pings, self.cancelled = 0.0, 0, 0
        self.autoPingPending, self.autoPingTimeoutCall = b"ping", SimpleNamespace(cancel=self.cancel)

    def cancel(self):
        self.cancelled += 1

    def check_timeouts(self):
        self.pings += time.time() - self.last_ping > self.server.ping_interval


async def check_once(protocol):
    server = RecordingServer()
    server.connections = {protocol: {}}
    daphne.check_timeouts(server)
    await settle()
    server.checking_timeouts.cancel()


async def test_a_socket_that_is_not_read_is_neither_pinged_nor_cut_off_for_want_of_a_pong():
    protocol = PingingProtocol()
    receive = adapt(protocol)[1]
    protocol.events.put_nowait({"type": "websocket.receive", "text": "x"})
    await receive()

    await check_once(protocol)

    assert protocol.transport.reads is False
    assert (protocol.pings, protocol.cancelled) == (0, 1)
    assert protocol.autoPingTimeoutCall is protocol.autoPingPending is None


@pytest.mark.parametrize("frames", [0, 1])
async def test_a_socket_that_is_read_has_to_answer_pings(frames):
    protocol = PingingProtocol()
    receive = adapt(protocol)[1]
    for _ in range(frames):
        protocol.events.put_nowait({"type": "websocket.receive", "text": "x"})
        await receive()
    reading = asyncio.create_task(receive())
    await settle()

    await check_once(protocol)

    assert (protocol.pings, protocol.cancelled) == (1, 0)
    reading.cancel()


async def test_a_slow_client_gets_time_to_answer_a_close_frame_of_ours():
    protocol = SocketProtocol()
    send = adapted_send(protocol)
    # A frame that breaks the protocol is not the slow client's.
    assert protocol.closeHandshakeTimeout == 5

    await send({"type": "websocket.close", "code": 1013})

    assert protocol.closeHandshakeTimeout == 20


def test_how_long_a_consumer_may_take_to_answer_is_for_the_settings_to_say():
    cancelled = []
    protocol = SocketProtocol()
    protocol.openHandshakeTimeoutCall = SimpleNamespace(cancel=lambda: cancelled.append("Autobahn's"))

    adapt(protocol)

    assert (cancelled, protocol.openHandshakeTimeoutCall) == (["Autobahn's"], None)
    assert protocol.server.websocket_connect_timeout > 10**9


def test_few_frames_are_read_at_once_for_all_of_them_are_taken_apart_in_one_go():
    protocol = SocketProtocol()
    adapted_send(protocol)

    assert protocol.transport.bufferSize == daphne.READ_SIZE == 4096
