"""The application as an ASGI server sees it: kinds of connections, start-up, shutdown."""

import asyncio
import re
import signal

import pytest

from channels.interface.application import InterfaceApplication
from channels.interface.limits import Limits
from channels.layers.inmemory import InMemoryChannelLayer

from .interface_server import Client, InterfaceServer
from .simulated_time import settle


async def begin_lifespan(server):
    client = Client({"type": "lifespan"})
    client.says({"type": "lifespan.startup"})
    client.task = asyncio.create_task(server.application(client.scope, client.receive, client.send))
    await settle()
    return client


async def test_start_up_starts_the_workers_once():
    started = []
    server = InterfaceServer(start_workers=lambda: started.append("workers"))

    lifespan = await begin_lifespan(server)
    await server.request()
    await server.socket()

    assert lifespan.sent == [{"type": "lifespan.startup.complete"}]
    assert started == ["workers"]


async def test_a_server_without_lifespan_starts_the_workers_with_its_first_connection():
    started = []
    server = InterfaceServer(start_workers=lambda: started.append("workers"))
    assert started == []

    await server.request()

    assert started == ["workers"]


async def test_a_start_up_that_fails_says_why():
    def fail():
        raise RuntimeError("There are no threads left.")

    lifespan = await begin_lifespan(InterfaceServer(start_workers=fail))

    assert lifespan.sent == [{"type": "lifespan.startup.failed", "message": "There are no threads left."}]
    assert isinstance(lifespan.task.exception(), RuntimeError)


async def test_shutdown_is_complete_when_every_consumer_has_been_told():
    server = InterfaceServer(channel_capacity={"websocket.disconnect": 1})
    lifespan = await begin_lifespan(server)
    for _ in range(2):
        await server.open_socket()

    lifespan.says({"type": "lifespan.shutdown"})
    await settle()
    assert len(lifespan.sent) == 1

    for _ in range(2):
        assert (await server.message("websocket.disconnect"))["code"] == 1012
        await asyncio.sleep(1)
    assert lifespan.sent[1:] == [{"type": "lifespan.shutdown.complete"}]
    assert lifespan.task.done()


async def test_other_kinds_of_connections_are_refused_by_name():
    server = InterfaceServer()

    with pytest.raises(ValueError, match=re.escape("serves HTTP and WebSocket, not 'smtp'")):
        await server.application({"type": "smtp"}, None, None)


async def test_what_is_no_target_of_a_request_is_refused():
    server = InterfaceServer()

    client = await server.request(path="host:80", raw_path=b"host:80")
    socket = await server.socket(path="host:80", raw_path=b"host:80")

    assert (client.status, client.content) == (400, b"The address of the request is not valid.\n")
    assert socket.sent == [{"type": "websocket.close", "code": 1000}]
    assert [await server.message(channel) for channel in ("http.request", "websocket.connect")] == [None, None]


async def test_messages_have_the_prefix_that_the_settings_name_or_a_header_that_they_trust():
    header = [(b"daphne-root-path", b"/told")]
    for limits, script_name, expected in (
        (Limits(), "", ["/page/", ""]),
        (Limits(), "/app", ["/app/page/", "/app"]),
        (Limits(trust_root_path_header=True), "", ["/told/page/", "/told"]),
    ):
        server = InterfaceServer(limits, script_name=script_name)

        await server.request(path="/page/", headers=header)
        await server.socket(path="/page/", headers=header)

        for channel in "http.request", "websocket.connect":
            message = await server.message(channel)
            assert [message["path"], message["root_path"]] == expected


async def test_a_signal_closes_the_sockets_before_the_server_says_a_word():
    server = InterfaceServer()
    heard = []
    signal.signal(signal.SIGTERM, lambda *arguments: heard.append("the server"))
    socket, _ = await server.open_socket()

    signal.raise_signal(signal.SIGTERM)
    await settle()

    assert heard == ["the server"]
    assert socket.sent == [{"type": "websocket.close", "code": 1012}]


def test_every_event_loop_has_a_process_of_its_own():
    application = InterfaceApplication(InMemoryChannelLayer())

    async def processes():
        return application.process(), application.process()

    first, again = asyncio.run(processes())
    other, _ = asyncio.run(processes())

    assert first is again
    assert first is not other
    assert first.replies.queue != other.replies.queue
