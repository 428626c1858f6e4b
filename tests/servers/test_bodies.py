"""Bodies of requests and responses behind daphne, uvicorn, hypercorn and granian: nobody holds a worker with them."""

import contextlib
import hashlib
import json
import random
import socket
import time

import pytest

from .processes import COMMANDS, PATIENCE

# More than there are worker threads.
MANY = 8


def open_upload(server, head, body=b""):
    client = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
    # A server that refuses a body may close the connection before all of it has come.
    with contextlib.suppress(ConnectionError):
        client.sendall(b"POST /upload/ HTTP/1.1\r\nHost: localhost\r\n" + head + b"\r\n\r\n" + body)
    return client


def status_of(client):
    return int(client.recv(4096).split()[1])


LENGTH = b"Content-Length: 1000"
CHUNKED = b"Transfer-Encoding: chunked"


@pytest.mark.parametrize("name", COMMANDS)
def test_slow_uploads_hold_no_worker_and_are_given_up(start, name):
    server = start(name, body_timeout=3)
    # Daphne is not asked before the first request of all is whole.
    server.fetch("/")
    with contextlib.ExitStack() as stack:
        uploads = [
            stack.enter_context(contextlib.closing(open_upload(server, head, body)))
            for head, body in [(LENGTH, b""), (LENGTH, b"ab"), (CHUNKED, b""), (CHUNKED, b"2\r\nab\r\n")]
            for _ in range(MANY // 4)
        ]
        begun = time.monotonic()
        assert server.fetch("/") == (200, b"Hello, world!")

        assert [status_of(upload) for upload in uploads] == [408] * MANY
        assert time.monotonic() - begun < 3 + PATIENCE / 2
    assert server.fetch("/") == (200, b"Hello, world!")


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    ("head", "body"),
    [(b"Content-Length: 100001", b""), (CHUNKED, b"%x\r\n" % 100_001 + b"x" * 100_001 + b"\r\n0\r\n\r\n")],
    ids=["announced", "in chunks"],
)
def test_a_body_above_the_limit_gets_413(start, name, head, body):
    server = start(name, body_limit=100_000)
    server.fetch("/")
    with contextlib.closing(open_upload(server, head, body)) as upload:
        assert status_of(upload) == 413
    assert server.fetch("/upload/", b"x" * 100_000)[0] == 200


@pytest.mark.parametrize("size", [1, 65_537, 200_000, 524_289])
def test_a_body_of_any_size_arrives_as_it_was_sent(server, size):
    body = random.Random(size).randbytes(size)
    status, content = server.fetch("/upload/", body)

    assert (status, json.loads(content)) == (200, {"checksum": hashlib.sha256(body).hexdigest(), "size": size})


@pytest.mark.parametrize("name", COMMANDS)
def test_bodies_that_there_is_no_room_for_are_refused_and_leave_room_behind(start, name):
    server = start(name, spool_memory=0, spool_size=2**20)
    server.fetch("/")
    for _ in range(3):
        with contextlib.closing(open_upload(server, b"Content-Length: 3000000", bytes(3_000_000))) as upload:
            assert status_of(upload) == 503

    server.wait_until(lambda: server.fetch("/upload/", bytes(400_000))[0] == 200)


FORM = (
    b'--x\r\nContent-Disposition: form-data; name="title"\r\n\r\nNotes\r\n'
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n%s\r\n--x--\r\n'
)


@pytest.mark.parametrize("size", [10, 2_000_000])
@pytest.mark.parametrize("pieces", [1, 7], ids=["of known length", "in chunks"])
def test_a_form_with_a_file_arrives_however_it_was_sent(server, size, pieces):
    form = FORM % (b"x" * size)
    step = len(form) // pieces + 1
    body = form if pieces == 1 else (form[start : start + step] for start in range(0, len(form), step))
    status, content = server.fetch("/form/", body, {"content-type": "multipart/form-data; boundary=x"})

    assert status == 200
    assert json.loads(content) == {"form": {"title": "Notes"}, "files": {"file": size}, "length": str(len(form))}


@pytest.mark.parametrize("path", ["/", "/download/", "/half/"])
def test_head_gets_no_content_and_the_connection_goes_on(server, path):
    end = b" HTTP/1.1\r\nHost: localhost\r\n"
    response = server.raw(b"HEAD " + path.encode() + end + b"\r\n", then=b"GET /" + end + b"Connection: close\r\n\r\n")

    head, _, rest = response.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert rest.startswith(b"HTTP/1.1 200"), response
    assert b"Hello, world!" in rest


# Django's own server refuses the first two as well; what is left out of the third, the server sets itself.
@pytest.mark.parametrize(("kind", "status"), [("length", 500), ("status", 500), ("connection", 200)])
def test_what_http_does_not_allow_is_mended_and_logged_with_its_path(server, kind, status):
    assert server.fetch(f"/wrong/{kind}/")[0] == status
    server.wait_until(lambda: f"Response to '/wrong/{kind}/'" in server.log)


# Streams that end when they like


def begin_and_leave(server, path, first):
    connection, response = server.begin(path)
    assert response.readline() == first
    connection.sock.shutdown(socket.SHUT_RDWR)
    connection.close()


def test_a_stream_is_told_at_once_that_its_client_has_left(server):
    ended = server.notes.count("tick ended")
    for _ in range(MANY):
        begin_and_leave(server, "/tick/", b"tick\n")

    server.wait_for_note("tick ended", ended + MANY)


def test_an_asynchronous_stream_is_cancelled_when_its_client_leaves(server):
    ended = server.notes.count("wait cancelled")
    for number in range(MANY):
        begin_and_leave(server, "/wait/", b"begun\n")
        server.wait_for_note("wait cancelled", ended + number + 1)

    assert server.fetch("/") == (200, b"Hello, world!")


def test_an_asynchronous_view_is_cancelled_when_its_client_leaves(server):
    begun, ended = server.notes.count("think begun"), server.notes.count("think cancelled")
    for number in range(MANY):
        client = server.get_ready("/think/")
        server.wait_for_note("think begun", begun + number + 1)
        client.close()
        server.wait_for_note("think cancelled", ended + number + 1)

    assert server.fetch("/") == (200, b"Hello, world!")
