"""One request between a client and the layer: its body, its response, and a client that leaves."""

import asyncio
import random
import sys
import tempfile

import pytest

from channels.interface.http_connection import IDLE_TIMEOUT, KEEP_TIMEOUT, WATCH_DELAY, ResponseAborted
from channels.interface.limits import Limits
from channels.interface.request_body import WINDOW
from channels.interface.spool import Buffer

from .interface_server import InterfaceServer
from .simulated_time import settle

CHUNKED = [(b"transfer-encoding", b"chunked")]
WORKER = {"worker": ["http.response.news?a", 7]}


async def begin(server, *parts, **request):
    """Begin a request; return its client and the message that a worker gets."""
    client = await server.request(*parts, **request)
    return client, await server.message("http.request")


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
        "No worker is listening on http.request: start one with 'manage.py runworker'."
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


# Bodies


@pytest.mark.parametrize("parts", [[b""], [b"0123"], [b"01", b"", b"23456"], [b"0"] * 8])
async def test_a_small_body_travels_in_the_request(parts):
    server = InterfaceServer(Limits(body_chunk_size=8))
    _, request = await begin(server, *parts, headers=CHUNKED)

    assert (request["body"], request["body_channel"]) == (b"".join(parts), None)


@pytest.mark.parametrize(
    "parts",
    [[b"0123456789"] * 3, [b"x" * 9], [b"x" * 100], [b"0" * 8, b"", b"1"], [b"0" * 8] * 3, [b"x" * 2**20, b"y"]],
    ids=lambda parts: "+".join(str(len(part)) for part in parts),
)
async def test_a_large_body_travels_in_chunks_on_a_channel_of_its_own(parts):
    size = max(8, sum(map(len, parts)) // 50)
    server = InterfaceServer(Limits(body_chunk_size=size))
    _, request = await begin(server, *parts, headers=CHUNKED)

    assert request["body"] == b""
    chunks = []
    while not chunks or chunks[-1]["more_content"]:
        chunks.append(await server.message(request["body_channel"]))
        await asyncio.sleep(1)
    assert b"".join(chunk["content"] for chunk in chunks) == b"".join(parts)
    assert max(len(chunk["content"]) for chunk in chunks) <= size
    assert await server.message(request["body_channel"]) is None


async def test_chunks_are_such_as_the_layer_takes():
    server = InterfaceServer(max_message_size=2000)
    _, request = await begin(server, b"x" * 5000, headers=CHUNKED)

    chunk = await server.message(request["body_channel"])
    assert chunk == {"content": b"x" * 1000, "more_content": True}


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 200_000, 524_287, 524_288, 524_289, 1_500_000])
async def test_a_body_of_any_size_arrives_whole(size):
    server = InterfaceServer()
    body = random.Random(size).randbytes(size)
    parts = [body[start : start + 2**16] for start in range(0, size, 2**16)] or [b""]
    _, request = await begin(server, *parts, headers=CHUNKED)

    arrived, more = request["body"], request["body_channel"] is not None
    while more:
        await asyncio.sleep(1)
        chunk = await server.message(request["body_channel"])
        arrived, more = arrived + chunk["content"], chunk["more_content"]
    assert arrived == body
    assert (request["body_channel"] is None) is (size <= 524_288)


async def test_no_worker_hears_of_a_request_before_its_body_is_whole():
    server = InterfaceServer()
    client = await server.request(b"a", None, method="POST", headers=CHUNKED)
    await asyncio.sleep(10)
    assert await server.message("http.request") is None

    client.says({"type": "http.request", "body": b"b"})
    assert (await server.message("http.request"))["body"] == b"ab"


async def test_of_a_body_in_chunks_the_worker_knows_the_length():
    server = InterfaceServer()
    _, request = await begin(server, b"ab", b"c", headers=CHUNKED)

    assert request["headers"] == [[b"content-length", b"3"]]


async def test_a_body_that_does_not_come_in_time_gets_408_and_troubles_no_worker():
    server = InterfaceServer()
    client = await server.request(b"a", None, method="POST", headers=CHUNKED)
    await asyncio.sleep(WINDOW + 1)

    assert (client.status, client.content) == (408, b"The body of the request did not come in time.\n")
    assert client.sent[0]["headers"][-1] == (b"connection", b"close")
    assert client.task.done()
    assert await server.message("http.request") is None


async def test_a_body_above_the_limit_gets_413():
    server = InterfaceServer(Limits(body_limit=10))
    client = await server.request(headers=[(b"content-length", b"11")], method="POST", http_version="2")

    assert (client.status, client.task.done()) == (413, True)
    # In HTTP/2 other requests go on over the same connection.
    assert (b"connection", b"close") not in client.sent[0]["headers"]


async def test_a_stop_does_not_wait_for_a_body():
    server = InterfaceServer(Limits(stop_grace=1))
    client = await server.request(b"a", None, method="POST", headers=CHUNKED)
    stopped = await server.stop()
    await asyncio.sleep(2)

    assert (client.status, client.task.done(), stopped.done()) == (503, True, True)


async def test_a_body_is_handed_on_at_the_pace_of_the_consumer():
    server = InterfaceServer(Limits(body_chunk_size=8))
    _, request = await begin(server, *[b"01234567"] * 100, headers=CHUNKED)
    capacity = server.layer.get_capacity(request["body_channel"])
    await asyncio.sleep(10)

    assert server.layer.channel_statistics(request["body_channel"])["messages_pending"] == capacity


async def test_a_body_that_no_consumer_reads_ends_in_503():
    server = InterfaceServer(Limits(body_chunk_size=8, http_timeout=20))
    client, _ = await begin(server, *[b"01234567"] * 100, headers=CHUNKED)

    await asyncio.sleep(21)

    assert (client.status, client.task.done()) == (503, True)


@pytest.mark.parametrize("parts", [[b"01234567"] * 100, [b"01234567" * 100]])
async def test_a_consumer_may_answer_before_it_has_read_the_body(parts):
    server = InterfaceServer(Limits(body_chunk_size=8))
    client, request = await begin(server, *parts, headers=CHUNKED)

    await server.reply(request["reply_channel"], {"status": 413, "content": b"Too large"})

    assert (client.status, client.task.done()) == (413, True)


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


# Long responses: they are taken off their workers' hands


async def test_a_part_with_an_ack_is_confirmed_as_soon_as_it_has_been_taken():
    server = InterfaceServer()
    client, request = await begin(server)
    client.reads.clear()

    await server.reply(
        request["reply_channel"], {"status": 200, "content": b"1", "more_content": True, "ack": True, **WORKER}
    )

    assert await server.message("http.response.news?a") == {"response": 7, "closed": False}
    assert await server.message("http.response.news?a") is None
    assert client.sent == []


async def test_a_whole_response_is_kept_for_a_slow_client_at_no_workers_cost():
    server = InterfaceServer(Limits(spool_memory=0))
    client, request = await begin(server)
    client.reads.clear()
    part = {"content": b"x" * 2**18, "more_content": True, "ack": True, **WORKER}
    await server.reply(request["reply_channel"], {"status": 200, **part})
    for _ in range(20):
        assert await server.message("http.response.news?a") == {"response": 7, "closed": False}
        await server.reply(request["reply_channel"], part)
    await server.reply(request["reply_channel"], {"content": b"end"})
    await asyncio.sleep(500)

    client.reads.set()
    await settle()

    assert client.content == b"x" * 21 * 2**18 + b"end"
    assert client.task.done()
    assert await server.message("http.disconnect") is None


@pytest.mark.parametrize("limits", [{"response_limit": 2**19}, {"spool_size": 2**19}], ids=["its own", "that of all"])
async def test_past_the_limits_the_worker_waits_for_the_client(limits):
    server = InterfaceServer(Limits(spool_memory=0, **limits))
    client, request = await begin(server)
    client.reads.clear()
    part = {"content": b"x" * 2**18, "more_content": True, "ack": True, **WORKER}
    confirmed = 0
    await server.reply(request["reply_channel"], {"status": 200, **part})
    while await server.message("http.response.news?a"):
        confirmed += 1
        await server.reply(request["reply_channel"], part)
    assert confirmed == 2

    client.reads.set()

    assert await server.message("http.response.news?a") == {"response": 7, "closed": False}


async def test_a_response_that_cannot_be_kept_is_cut_off_and_its_worker_told(monkeypatch, caplog):
    def fails(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", fails)
    server = InterfaceServer(Limits(spool_memory=0))
    client, request = await begin(server)
    await server.reply(request["reply_channel"], {"status": 200, "more_content": True, **WORKER})
    client.reads.clear()
    for _ in range(3):
        part = {"content": b"x" * 2**17, "more_content": True, "ack": True, **WORKER}
        await server.reply(request["reply_channel"], part)

    assert isinstance(client.task.exception(), ResponseAborted)
    # The first part is with the server, and needs no room.
    assert await server.message("http.response.news?a") == {"response": 7, "closed": False}
    assert await server.message("http.response.news?a") == {"response": 7, "closed": True}
    assert {message.partition(":")[0] for message in caplog.messages} == {
        "What waits for a client cannot be kept in a temporary file",
        "Response to '/page/' cut off",
    }


async def test_a_body_that_cannot_be_read_again_is_answered_with_500(monkeypatch, caplog):
    async def fails_once(self):
        monkeypatch.undo()
        raise OSError("the disk is gone")

    server = InterfaceServer(Limits(body_chunk_size=4))
    monkeypatch.setattr(Buffer, "get", fails_once)
    client, request = await begin(server, b"01234567", headers=CHUNKED, method="POST")

    assert (client.status, client.task.done()) == (500, True)
    assert "Request '/page/' cannot go on" in caplog.text
    assert await server.message(request["body_channel"]) == {"closed": True}


async def test_a_client_that_leaves_gives_back_what_was_kept_for_it():
    server = InterfaceServer(Limits(spool_memory=0, spool_size=2**20))
    for _ in range(5):
        client, request = await begin(server)
        client.reads.clear()
        await server.reply(
            request["reply_channel"],
            {"status": 200, "content": b"x" * 2**20, "more_content": True, "ack": True, **WORKER},
        )
        assert await server.message("http.response.news?a") == {"response": 7, "closed": False}
        await server.reply(request["reply_channel"], {"content": b""})

        client.leaves()
        await asyncio.sleep(WATCH_DELAY)
        assert (client.task.done(), client.task.exception()) == (True, None)


async def begin_slow_download(server, size, **last):
    """Have a response of some size kept for a client that does not read."""
    client, request = await begin(server)
    client.reads.clear()
    # The first part is with the server at once.
    await server.reply(request["reply_channel"], {"status": 200, "content": b"1", "more_content": True, **WORKER})
    await server.reply(request["reply_channel"], {"content": b"x" * size, "more_content": True, **WORKER})
    await server.reply(request["reply_channel"], {"content": b"end"})
    return client


async def test_a_client_that_takes_nothing_loses_its_response_in_the_end():
    server = InterfaceServer(Limits(response_timeout=180))
    client = await begin_slow_download(server, 2**20)
    await asyncio.sleep(170)
    assert not client.task.done()

    await asyncio.sleep(20)
    assert isinstance(client.task.exception(), ResponseAborted)


async def test_a_client_that_takes_something_now_and_then_keeps_its_response():
    server = InterfaceServer(Limits(response_timeout=120))
    client = await begin_slow_download(server, 2**20)
    client.reads_one = True
    for _ in range(10):
        await asyncio.sleep(100)
        client.reads.set()
    await settle()
    assert not client.task.done()

    client.reads_one = False
    client.reads.set()
    await settle()
    assert client.content == b"1" + b"x" * 2**20 + b"end"


async def test_where_there_is_no_room_clients_that_take_nothing_for_a_minute_make_some():
    server = InterfaceServer(Limits(spool_memory=0, spool_size=2**20))
    idle = await begin_slow_download(server, 2**20)
    await asyncio.sleep(1)
    # There is no room for this one's end, and it may not stay in memory for long.
    other = await begin_slow_download(server, 2**20)
    await asyncio.sleep(KEEP_TIMEOUT + 1)
    assert (idle.task.done(), isinstance(other.task.exception(), ResponseAborted)) == (False, True)

    await asyncio.sleep(IDLE_TIMEOUT)
    assert isinstance(idle.task.exception(), ResponseAborted)


async def test_a_worker_whose_request_was_answered_by_the_server_is_told_so():
    server = InterfaceServer(Limits(http_timeout=3))
    client, request = await begin(server)
    await server.reply(request["reply_channel"], WORKER)
    await asyncio.sleep(4)

    assert client.status == 503
    assert await server.message("http.response.news?a") == {"response": 7, "closed": True}


async def test_a_response_that_comes_whole_while_its_server_cancels_it_at_a_stop_is_no_half_one():
    server = InterfaceServer()
    client, request = await begin(server)
    await server.stop()

    server.layer.send(request["reply_channel"], {"status": 200, "content": b"whole"})
    client.task.cancel()
    await settle()

    assert (client.content, client.task.done()) == (b"whole", True)
    assert client.task.cancelled() or client.task.exception() is None


@pytest.mark.parametrize("reply", [WORKER, {"status": 200, "content": b"1", "more_content": True, **WORKER}])
async def test_a_worker_is_told_that_the_client_has_left_whether_it_has_begun_its_response_or_not(reply):
    server = InterfaceServer()
    client, request = await begin(server)
    await server.reply(request["reply_channel"], reply)

    client.leaves()
    await asyncio.sleep(WATCH_DELAY)

    assert await server.message("http.response.news?a") == {"response": 7, "closed": True}
    assert await server.message("http.disconnect") is not None


async def test_a_part_for_a_client_that_has_gone_is_confirmed_as_closed():
    server = InterfaceServer()
    client, request = await begin(server)
    client.leaves()
    await asyncio.sleep(WATCH_DELAY + 0.01)

    await server.reply(request["reply_channel"], {"content": b"1", "more_content": True, **WORKER})

    assert await server.message("http.response.news?a") == {"response": 7, "closed": True}


async def test_a_worker_that_sends_content_in_answer_to_head_is_told_that_nobody_wants_it():
    server = InterfaceServer()
    client, request = await begin(server, method="HEAD")

    await server.reply(
        request["reply_channel"], {"status": 200, "content": b"1", "more_content": True, "ack": True, **WORKER}
    )

    assert (client.content, client.task.done()) == (b"", True)
    assert await server.message("http.response.news?a") == {"response": 7, "closed": True}


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
