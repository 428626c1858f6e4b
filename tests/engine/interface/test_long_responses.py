"""Long responses: they are taken off their workers' hands."""

import asyncio
import tempfile

import pytest

from channels.interface.http_connection import IDLE_TIMEOUT, KEEP_TIMEOUT, WATCH_DELAY, ResponseAborted
from channels.interface.limits import Limits
from channels.interface.spool import Buffer

from .interface_server import InterfaceServer, begin
from .simulated_time import settle

CHUNKED = [(b"transfer-encoding", b"chunked")]
WORKER = {"worker": ["http.response.news?a", 7]}


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
