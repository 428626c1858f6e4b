"""Take a request's body: its size, its pace, and what its head says of it."""

import asyncio

import pytest

from channels.interface.limits import Limits
from channels.interface.request_body import (
    WINDOW,
    BodyRefused,
    ClientLeft,
    RequestBody,
    declared_length,
    headers_with_length,
)
from channels.interface.spool import Spool

from .simulated_time import longest_pause


class Server:
    """Gives the parts of a body, each after some seconds; after them nothing comes."""

    def __init__(self, *parts, ends=True):
        self.parts = list(parts)
        self.ends = ends

    async def receive(self):
        if not self.parts:
            await asyncio.Future()
        seconds, part = self.parts.pop(0)
        await asyncio.sleep(seconds)
        if part is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part, "more_body": bool(self.parts) or not self.ends}


def scope(*headers, **more):
    return {"type": "http", "headers": list(headers), **more}


CHUNKED = scope((b"transfer-encoding", b"chunked"))


def body_for(scope=CHUNKED, **limits):
    limits = Limits(**limits)
    return RequestBody(scope, Spool(limits.spool_memory, limits.spool_size), limits)


async def refusal(server, scope=CHUNKED, **limits):
    """Return the status of the refusal and the time that has passed."""
    begun = asyncio.get_running_loop().time()
    with pytest.raises(BodyRefused) as refused:
        await body_for(scope, **limits).read(server.receive)
    return refused.value.status, asyncio.get_running_loop().time() - begun


async def test_a_body_is_read_whole():
    body = body_for()
    await body.read(Server((0, b"one"), (1, b""), (1, b"two")).receive)

    assert (body.size, await body.content.get()) == (6, b"onetwo")


async def test_a_body_that_is_announced_as_too_large_is_not_read_at_all():
    server = Server((0, b"x"))

    assert await refusal(server, scope((b"Content-Length", b"11")), body_limit=10) == (413, 0)
    assert server.parts == [(0, b"x")]


async def test_a_body_that_becomes_too_large_is_read_no_further():
    server = Server((1, b"x" * 6), (1, b"x" * 6), (1, b"x"))

    assert await refusal(server, body_limit=10) == (413, 2)
    assert server.parts == [(1, b"x")]


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [(0, b"0123456789")],
        [(0, b"ab"), *[(10, b"x")] * 99],
        [(1, b"x")] * 1000,
        [(0, b"x" * 10_000)] * 10,
    ],
    ids=["before its first byte", "after ten", "a byte in ten seconds", "a byte a second", "after much"],
)
async def test_a_body_that_stalls_or_comes_too_slowly_is_given_up(parts):
    status, seconds = await refusal(Server(*parts, ends=False))

    assert (status, seconds) == (408, WINDOW)


async def test_a_body_that_comes_fast_enough_may_take_its_time_but_not_for_ever():
    parts = [(2, b"x" * 1200)] * 1000
    assert await refusal(Server(*parts), body_timeout=300) == (408, 300)

    body = body_for()
    await body.read(Server(*parts[:800]).receive)
    assert body.size == 960_000


async def test_a_body_that_nobody_has_room_for_is_refused():
    assert await refusal(Server((0, bytes(2**20)), (0, b"x")), spool_memory=0, spool_size=2**19) == (503, 0)


async def test_a_client_that_leaves_is_noticed():
    with pytest.raises(ClientLeft):
        await body_for().read(Server((0, b"half"), (1, None)).receive)


async def test_a_body_can_be_given_up():
    body = body_for()
    asyncio.get_running_loop().call_later(3, body.give_up)
    with pytest.raises(BodyRefused):
        await body.read(Server((0, b"half"), ends=False).receive)

    assert asyncio.get_running_loop().time() == 3


async def test_a_body_that_is_given_up_stays_so_whatever_comes_in_that_moment():
    body = body_for()

    async def receive():
        await asyncio.sleep(3)
        body.give_up()
        body.give_up()
        return {"type": "http.request", "body": b"x" * 20_000, "more_body": True}

    with pytest.raises(BodyRefused):
        await body.read(receive)

    assert asyncio.get_running_loop().time() == 3


async def test_a_body_that_is_there_at_once_does_not_keep_the_loop():
    loop, left = asyncio.get_running_loop(), [b"x" * 2**16] * 200

    async def receive():
        loop.pass_time(0.0001)
        return {"type": "http.request", "body": left.pop(), "more_body": bool(left)}

    reading = asyncio.create_task(body_for().read(receive))

    assert await longest_pause(reading.done) < 0.0015


@pytest.mark.parametrize("size", [1, 7, 65_536, 100_000])
async def test_the_chunks_of_a_body_are_as_long_as_was_asked_for(size):
    body = body_for()
    await body.read(Server((0, b"x" * 65_536), (0, b"y" * 100)).receive)
    chunks = [chunk async for chunk in body.chunks(size)]

    assert b"".join(chunks) == b"x" * 65_536 + b"y" * 100
    assert {len(chunk) for chunk in chunks[:-1]} <= {size}
    assert 0 < len(chunks[-1]) <= size


@pytest.mark.parametrize(
    ("head", "length"),
    [
        (scope(), 0),
        (scope(http_version="1.0"), 0),
        (scope((b"content-length", b"12")), 12),
        (scope((b"Content-Length", b"0")), 0),
        (scope((b"content-length", b"5, 5")), None),
        (scope((b"content-length", b"9" * 5000)), None),
        (CHUNKED, None),
        (scope(http_version="2"), None),
        (scope((b"content-length", b"12"), http_version="2"), 12),
    ],
)
def test_the_head_says_how_long_a_body_is_or_that_anything_may_come(head, length):
    assert declared_length(head) == length


def test_of_a_body_that_came_in_chunks_the_length_is_known():
    headers = [[b"host", b"a"], [b"transfer-encoding", b"chunked"], [b"te", b"trailers"]]

    assert headers_with_length(headers, 12) == [[b"host", b"a"], [b"te", b"trailers"], [b"content-length", b"12"]]
