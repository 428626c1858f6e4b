"""`AsgiHandler.encode_response`: a response of Django, cut into messages."""

import asyncio
import io

import pytest
from django.http import FileResponse, HttpResponse, StreamingHttpResponse

from channels.handler import AsgiHandler


@pytest.fixture
def chunks_of_ten(monkeypatch):
    monkeypatch.setattr(AsgiHandler, "chunk_size", 10)


def encode(response):
    return [*AsgiHandler.encode_response(response)]


def contents(replies):
    return [(reply["content"], reply["more_content"]) for reply in replies]


@pytest.mark.parametrize(
    ("size", "sizes"), [(0, [0]), (1, [1]), (10, [10]), (11, [10, 1]), (20, [10, 10]), (25, [10, 10, 5])]
)
def test_a_big_response_is_cut_into_parts_of_which_the_first_has_the_head(chunks_of_ten, size, sizes):
    first, *rest = replies = encode(HttpResponse(b"x" * size))

    assert [len(reply["content"]) for reply in replies] == sizes
    assert [reply["more_content"] for reply in replies] == [True] * (len(sizes) - 1) + [False]
    assert first["status"] == 200
    assert [*rest] == [{"content": reply["content"], "more_content": reply["more_content"]} for reply in rest]


def test_a_streaming_response_is_sent_part_by_part_and_ends_with_an_empty_one(chunks_of_ten):
    first, *rest = replies = encode(StreamingHttpResponse(iter(["one", b"", b"x" * 12]), status=201))

    assert contents(replies) == [(b"one", True), (b"x" * 10, True), (b"xx", True), (b"", False)]
    assert first["status"] == 201
    assert "status" not in rest[0]


def test_a_streaming_response_without_parts_has_a_head(chunks_of_ten):
    [reply] = encode(StreamingHttpResponse(iter([]), status=201))

    assert (reply["status"], reply["content"], reply["more_content"]) == (201, b"", False)


def test_a_file_is_read_in_parts_of_the_size_that_is_sent(chunks_of_ten):
    class File(io.BytesIO):
        def read(self, size=-1):
            sizes.append(size)
            return super().read(size)

    sizes = []
    replies = encode(FileResponse(File(b"x" * 25)))

    assert contents(replies) == [(b"x" * 10, True), (b"x" * 10, True), (b"x" * 5, True), (b"", False)]
    assert set(sizes) == {10}


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume asynchronous iterators")
def test_of_a_response_whose_parts_come_asynchronously_all_are_taken_first():
    async def parts():
        yield "one"
        await asyncio.sleep(0)
        yield b"two"

    assert contents(encode(StreamingHttpResponse(parts()))) == [(b"one", True), (b"two", True), (b"", False)]
