"""One request between a client and the layer: its response, and a client that leaves."""

import asyncio
import sys

import pytest

from channels.interface.http_connection import WATCH_DELAY, ResponseAborted
from channels.interface.limits import Limits

from .interface_server import InterfaceServer, begin
from .simulated_time import settle

CHUNKED = [(b"transfer-encoding", b"chunked")]
WORKER = {"worker": ["http.response.news?a", 7]}


# Request and response


async def test_a_request_becomes_a_message_and_the_reply_its_response():
    server = InterfaceServer()
    client, request = await begin(
        server, b"a=1", path="/page/", method="POST", headers=[(b"Host", b"example.org"), *CHUNKED], query_string=b"q"
    )

    assert (request["method"], request["path"], request["query_string"]) == ("POST", "/page/", b"q")
    assert (request["headers"][0], request["body"], request["body_channel"]) == (
        [b"host", b"example.org"],
        b"a=1",
        None,
    )

    await server.reply(request["reply_channel"], {"status": 201, "headers": [[b"X-A", b"1"]], "content": b"made"})
    assert client.sent == [
        {"type": "http.response.start", "status": 201, "headers": [(b"x-a", b"1")]},
        {"type": "http.response.body", "body": b"made", "more_body": False},
    ]
    assert client.task.done()
    assert await server.message("http.disconnect") is None


async def test_a_response_arrives_part_by_part():
    server = InterfaceServer()
    client, request = await begin(server)
    await server.reply(request["reply_channel"], {"status": 200, "content": b"1", "more_content": True})
    assert client.content == b"1"

    await server.reply(request["reply_channel"], {"content": b"2", "more_content": True})
    assert (client.content, client.task.done()) == (b"12", False)

    await server.reply(request["reply_channel"], {"content": b"3"})
    assert (client.content, client.task.done()) == (b"123", True)


async def test_a_response_that_is_not_valid_becomes_status_500_at_once(caplog):
    server = InterfaceServer()
    client, request = await begin(server)

    await server.reply(request["reply_channel"], {"status": 200, "headers": [[b"x-a", b"1\r\nx-b: 2"]]})

    assert (client.status, client.task.done()) == (500, True)
    assert "Response to '/page/' is not valid" in caplog.text


async def test_a_full_request_channel_answers_503_at_once(caplog):
    server = InterfaceServer(capacity=1)
    await server.request()

    client = await server.request()

    assert (client.status, client.content) == (503, b"The server is busy. Please try again.\n")
    assert (b"retry-after", b"5") in client.sent[0]["headers"]
    assert client.task.done()
    assert caplog.messages == [
        "Request '/page/' refused: The channel 'http.request' holds 1 messages that nobody has read. Start more "
        "workers for it, or raise 'capacity' or 'channel_capacity' in the CONFIG of CHANNEL_LAYERS."
    ]


async def test_a_request_whose_headers_are_too_large_for_the_layer_gets_431(caplog):
    server = InterfaceServer(max_message_size=1000)

    client = await server.request(headers=[(b"x-huge", b"x" * 1000)])

    assert (client.status, client.content) == (431, b"The address or the headers of the request are too large.\n")
    assert caplog.messages[0].startswith("Request '/page/' refused: ")
    assert await server.message("http.disconnect") is None


async def test_no_answer_in_time_is_503_and_the_log_says_that_no_worker_is_listening(caplog):
    server = InterfaceServer(Limits(http_timeout=3))
    client = await server.request()
    await asyncio.sleep(2.9)
    assert client.sent == []

    await asyncio.sleep(0.2)
    assert (client.status, client.content) == (503, b"The server did not answer in time.\n")
    assert caplog.messages == [
        "Request '/page/' got no answer within 3 s and becomes status 503. "
        "No worker that reads http.request has been heard of yet: start one with 'get_channel_layer(worker_threads=4)'."
    ]


async def test_a_reply_after_the_timeout_is_dropped():
    server = InterfaceServer(Limits(http_timeout=3))
    client, request = await begin(server)
    await asyncio.sleep(4)

    await server.reply(request["reply_channel"], {"status": 200, "content": b"late"})

    assert (client.status, len(client.sent)) == (503, 2)


async def test_a_response_that_has_begun_in_time_may_take_its_time():
    server = InterfaceServer(Limits(http_timeout=3))
    client, request = await begin(server)
    await server.reply(request["reply_channel"], {"status": 200, "more_content": True})
    await asyncio.sleep(1000)

    await server.reply(request["reply_channel"], {"content": b"done"})

    assert (client.status, client.content, client.task.done()) == (200, b"done", True)


# The client leaves


async def test_a_client_that_leaves_before_its_body_has_come_troubles_nobody():
    server = InterfaceServer()
    client = await server.request(b"half", None, method="POST", headers=CHUNKED)
    client.leaves()
    await settle()

    assert client.task.done()
    assert await server.message("http.request") is None
    assert await server.message("http.disconnect") is None


async def test_a_client_that_leaves_before_its_body_has_been_handed_on_closes_the_body_channel():
    server = InterfaceServer(Limits(body_chunk_size=4))
    client, request = await begin(server, b"0123" * 10, headers=CHUNKED)
    client.leaves()
    await asyncio.sleep(WATCH_DELAY)

    capacity = server.layer.get_capacity(request["body_channel"])
    parts = []
    for _ in range(capacity + 1):
        parts.append(await server.message(request["body_channel"]))
        await asyncio.sleep(1)

    assert parts == [{"content": b"0123", "more_content": True}] * capacity + [{"closed": True}]
    disconnect = {"reply_channel": request["reply_channel"], "path": "/page/"}
    assert await server.message("http.disconnect") == disconnect
    assert client.task.done()


@pytest.mark.parametrize("replies", [[], [{"status": 200, "content": b"1", "more_content": True}]])
async def test_a_client_that_leaves_during_a_long_poll_or_a_stream_is_reported_once(replies):
    server = InterfaceServer()
    client, request = await begin(server)
    for reply in replies:
        await server.reply(request["reply_channel"], reply)
    server.layer.group_add("news", request["reply_channel"])
    await settle()

    client.leaves()
    await asyncio.sleep(WATCH_DELAY)

    disconnect = {"reply_channel": request["reply_channel"], "path": "/page/"}
    assert await server.message("http.disconnect") == disconnect
    assert await server.message("http.disconnect") is None
    assert (client.task.done(), client.task.exception()) == (True, None)
    assert server.layer.group_channels("news") == []


async def test_what_consumers_have_saved_during_a_request_is_there_when_its_client_leaves():
    server = InterfaceServer()
    client = await server.request()
    request = await server.take("http.request")
    await server.finish(request, changed={"seen": 1, "page": 2})
    await server.finish(request, {"status": 200, "content": b"1", "more_content": True}, removed=["page"])

    client.leaves()
    # Nobody looks at once whether it has.
    await asyncio.sleep(0.1)

    assert request.ticket == (None, {})
    assert (await server.take("http.disconnect")).ticket == (None, {"seen": 1})


async def test_a_full_disconnect_channel_holds_nobody_up():
    server = InterfaceServer(channel_capacity={"http.disconnect": 1})
    clients = [(await begin(server))[0] for _ in range(3)]

    for client in clients:
        client.leaves()
    await asyncio.sleep(WATCH_DELAY + 0.01)

    assert all(client.task.done() for client in clients)


async def test_a_request_that_its_server_cancels_is_reported():
    server = InterfaceServer()
    client, request = await begin(server)

    client.task.cancel()

    assert (await server.message("http.disconnect"))["reply_channel"] == request["reply_channel"]
    assert client.task.cancelled()


# Held open at no cost


async def test_a_long_poll_is_answered_through_a_group():
    server = InterfaceServer()
    polls = [await begin(server) for _ in range(3)]
    for _, request in polls:
        server.layer.group_add("news", request["reply_channel"])
    await asyncio.sleep(60)

    server.layer.send_group("news", {"status": 200, "content": b"news"})
    await settle()

    assert [(client.content, client.task.done()) for client, _ in polls] == [(b"news", True)] * 3
    assert server.layer.group_channels("news") == []


async def test_an_event_stream_is_held_open_and_fed_through_a_group():
    server = InterfaceServer()
    client, request = await begin(server)
    headers = [[b"content-type", b"text/event-stream"]]
    server.layer.send(request["reply_channel"], {"status": 200, "headers": headers, "more_content": True})
    server.layer.group_add("news", request["reply_channel"])

    for number in range(3):
        await asyncio.sleep(300)
        server.layer.send_group("news", {"content": b"data: %d\n\n" % number, "more_content": True})
    await settle()

    assert client.content == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"
    assert not client.task.done()


# Responses that cannot be completed


async def test_an_aborted_response_is_cut_off_so_that_nobody_takes_it_for_whole():
    server = InterfaceServer()
    client, request = await begin(server)
    await server.reply(request["reply_channel"], {"status": 200, "content": b"half", "more_content": True})

    await server.reply(request["reply_channel"], {"abort": True})

    assert client.content == b"half"
    assert client.sent[-1]["more_body"]
    assert isinstance(client.task.exception(), ResponseAborted)


async def test_an_aborted_response_of_which_nothing_has_been_sent_becomes_status_500():
    server = InterfaceServer()
    client, request = await begin(server)
    server.layer.send(request["reply_channel"], {"status": 200, "content": b"half", "more_content": True})
    server.layer.send(request["reply_channel"], {"abort": True})
    await settle()

    # Where a task begins at once, the first part has been sent before the second one is looked at.
    assert (client.status, client.task.done()) == (200 if sys.version_info >= (3, 12) else 500, True)
    assert isinstance(client.task.exception(), ResponseAborted) == (client.status == 200)


async def test_a_response_that_comes_through_a_group_and_outgrows_its_outbox_is_cut_off(caplog):
    server = InterfaceServer(Limits(response_outbox_size=1000))
    client, request = await begin(server)
    client.reads.clear()
    server.layer.group_add("news", request["reply_channel"])
    for part in ({"status": 200}, {}, {}):
        server.layer.send_group("news", {"content": b"x" * 400, "more_content": True, **part})
        await settle()

    assert caplog.messages == ["Response to '/page/' cut off: its client reads too slowly"]
    assert isinstance(client.task.exception(), ResponseAborted)


async def begin_with_failing_send(server, error):
    """Begin a request to whose server nothing can be sent; return its task and the message that a worker gets."""
    client, _ = await begin(server)

    async def send(event):
        raise error

    other = asyncio.create_task(server.application(client.scope, client.receive, send))
    client.says({"type": "http.request"})
    return other, await server.message("http.request")


async def test_what_the_server_throws_away_is_logged_with_its_path_and_cut_off(caplog):
    server = InterfaceServer()
    task, request = await begin_with_failing_send(server, RuntimeError("That is too long."))
    await server.reply(request["reply_channel"], {"status": 200, "content": b"1"})

    assert caplog.messages == ["The server has thrown away the response to '/page/': RuntimeError('That is too long.')"]
    assert isinstance(task.exception(), ResponseAborted)


async def test_a_client_whose_connection_is_lost_while_it_is_sent_to_has_left(caplog):
    server = InterfaceServer()
    task, request = await begin_with_failing_send(server, ConnectionResetError())
    await server.reply(request["reply_channel"], {"status": 200, "content": b"1", "more_content": True, **WORKER})

    assert (caplog.messages, task.exception()) == ([], None)
    assert (await server.message("http.disconnect"))["reply_channel"] == request["reply_channel"]
    assert await server.message("http.response.news?a") == {"response": 7, "closed": True}
