"""The body of a request, from its client to a worker."""

import asyncio
import random

import pytest

from channels.interface.limits import Limits
from channels.interface.request_body import WINDOW

from .interface_server import InterfaceServer, begin

CHUNKED = [(b"transfer-encoding", b"chunked")]
WORKER = {"worker": ["http.response.news?a", 7]}


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
