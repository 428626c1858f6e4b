"""What load balancers are told, by what the process knows already."""

import asyncio

import pytest

from channels.exceptions import ChannelLayerUnavailable
from channels.interface.limits import Limits
from channels.interface.workers import GROUP, LATELY, RESTART

from .interface_server import InterfaceServer
from .simulated_time import settle

SERVED = ["http.request", "websocket.connect"]
PAGES = (
    "No worker that reads http.request has been heard of {}: start one with 'get_channel_layer(worker_threads=4)'.\n"
)
SOCKETS = PAGES.replace("http.request", "websocket.connect")


async def hear(server, content):
    """Have the server hear something in the group of interface processes."""
    await settle()
    server.layer.send_group(GROUP, content)
    await settle()


async def serve(reads=SERVED, limits=None, **options):
    """Return a server that has heard of a worker, once."""
    server = InterfaceServer(limits, **options)
    server.application.process()
    await hear(server, {"reads": reads})
    return server


async def ask(server, path="/readyz", **request):
    client = await server.request(path=path, **request)
    return client.status, client.content.decode()


async def test_a_process_whose_workers_were_heard_of_lately_is_ready():
    server = await serve()

    assert await ask(server) == (200, "ok\n")
    await asyncio.sleep(LATELY - 1)
    assert await ask(server) == (200, "ok\n")


async def test_a_process_that_hears_of_no_worker_says_so_and_for_how_long():
    server = InterfaceServer()
    at_first = await ask(server)
    await asyncio.sleep(1)
    await hear(server, {"reads": SERVED})
    await asyncio.sleep(12)

    assert at_first == (503, PAGES.format("yet") + SOCKETS.format("yet"))
    assert await ask(server) == (503, PAGES.format("for 12 s") + SOCKETS.format("for 12 s"))
    server.layer.spans_processes = True
    assert "http.request has been heard of for 12 s: start one with 'manage.py runworker'." in (await ask(server))[1]


@pytest.mark.parametrize("reads", [["websocket.connect"], ["websocket.connect", "jobs"]])
async def test_workers_count_that_read_the_channels_which_the_settings_name(reads):
    assert await ask(await serve(reads)) == (503, PAGES.format("yet"))
    assert await ask(await serve(reads, Limits(ready_channels=["websocket.connect"]))) == (200, "ok\n")


@pytest.mark.parametrize("kind", ["reads", "lease"])
async def test_a_process_whose_layer_does_not_answer_is_not_ready(kind):
    server = await serve()
    server.layer.outage.goes_on(ChannelLayerUnavailable("redis://:secret@store:6379 refuses"), kind)

    assert await ask(server) == (503, "The channel layer does not answer.\n")
    assert await ask(server, "/livez") == (200, "ok\n")
    server.layer.outage.is_over(kind)
    assert await ask(server) == (200, "ok\n")


async def test_a_process_that_stops_is_not_ready_and_lives():
    server = await serve()
    await server.request()
    await server.stop()

    assert await ask(server) == (503, "The server is stopping.\n")
    assert await ask(server, "/livez") == (200, "ok\n")


async def test_a_process_that_was_taken_for_dead_hears_of_workers_again():
    server = await serve()
    server.application.process()._start_anew()
    await asyncio.sleep(40)
    await hear(server, {"reads": SERVED})

    assert await ask(server) == (200, "ok\n")


async def test_what_others_send_to_the_group_of_the_processes_harms_nobody():
    server = await serve()
    for content in {}, {"reads": 7}, {"text": "Hello"}:
        await hear(server, content)

    assert await ask(server) == (200, "ok\n")


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
async def test_the_answers_are_whole_without_a_worker_or_a_host(path):
    server = await serve()
    host = {"headers": [(b"host", b"10.0.0.7:8000")]}

    client, head, post = [await server.request(path=path, method=m, **host) for m in ("GET", "HEAD", "POST")]

    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"3"),
        (b"cache-control", b"no-store"),
    ]
    assert [event["headers"] for event in (client.sent[0], head.sent[0])] == [headers] * 2
    assert (head.status, head.content) == (200, b"")
    assert (post.status, post.content) == (405, b"Ask with GET or HEAD.\n")
    assert (b"allow", b"GET, HEAD") in post.sent[0]["headers"]
    assert await server.message("http.request") is None


async def test_the_paths_lie_below_the_prefix_of_the_site_and_at_the_address_of_the_process():
    server = await serve(script_name="/app")

    assert [await ask(server, path) for path in ("/app/readyz", "/readyz")] == [(200, "ok\n")] * 2


async def test_the_settings_move_the_answers_and_switch_them_off():
    server = await serve(limits=Limits(live_path="/-/up", ready_path=""))

    assert await ask(server, "/-/up") == (200, "ok\n")
    for path in "/livez", "/readyz", "/livez/", "":
        await server.request(path=path)
        assert (await server.message("http.request"))["path"] == path


async def test_a_question_about_the_server_itself_is_none_about_its_health():
    server = await serve(limits=Limits(live_path=""), script_name="/app")
    await server.request(path="*", method="OPTIONS")

    assert (await server.message("http.request"))["path"] == "*"


# Pages and sockets


async def test_messages_wait_while_workers_are_restarted_and_are_refused_when_there_are_none(caplog):
    server = InterfaceServer()
    waits = await server.request()
    await asyncio.sleep(RESTART + 1)

    page, socket = await server.request(), await server.socket()

    assert (page.status, page.content.decode()) == (503, "The server is busy. Please try again.\n")
    assert [event.get("code") for event in socket.sent] == [None, 1013]
    assert f"Request '/page/' refused: {PAGES.format('yet')[:-1]}" in caplog.messages
    assert f"Socket '/rooms/' refused: {SOCKETS.format('yet')[:-1]}" in caplog.messages
    assert waits.sent == []
    assert server.layer.channel_statistics("http.request")["messages_count"] == 1
    await hear(server, {"reads": SERVED})
    await server.open_socket()


async def test_an_outage_of_the_layer_is_no_silence_of_workers(monkeypatch):
    server = await serve()
    read_queue = server.layer.read_queue

    async def fail(queue):
        raise ChannelLayerUnavailable("nobody listens")

    monkeypatch.setattr(server.layer, "read_queue", fail)
    # So that the reader asks again.
    await hear(server, {"reads": SERVED})
    await asyncio.sleep(60)
    monkeypatch.setattr(server.layer, "read_queue", read_queue)
    await asyncio.sleep(2)

    client = await server.request()

    assert client.sent == []


async def test_a_process_that_was_stopped_itself_has_heard_nobody_meanwhile():
    server = await serve()
    asyncio.get_running_loop().pass_time(60)

    page, socket = await server.request(), await server.socket()

    assert page.sent == socket.sent == []
    await asyncio.sleep(RESTART + 1)
    assert (await server.request()).status == 503


async def test_a_process_that_was_taken_for_dead_waits_until_workers_can_be_heard():
    server = await serve()
    await asyncio.sleep(RESTART + 1)
    server.application.process()._start_anew()

    assert (await server.request()).sent == []
