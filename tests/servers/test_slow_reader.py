"""Clients that do not read: they hold up nobody but themselves, and no memory is filled on their account."""

import contextlib
import socket
import struct
from concurrent.futures import ThreadPoolExecutor

import pytest
from websockets.exceptions import ConnectionClosed

from .processes import COMMANDS, HANDSHAKE, PATIENCE, until_closed

# Of each frame this much lies in the buffers of a connection before anything is noticed.
FRAME = "x" * 2**15
TEXT, PING = 1, 9
MIB = 2**20


def connect_slowly(server):
    """Connect with hardly any room for what is received."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**12)
    client.connect(("127.0.0.1", server.port))
    return client


@pytest.mark.parametrize("name", COMMANDS)
def test_a_slow_reader_is_closed_with_1013_and_holds_nobody_up(start, name):
    server = start(name, socket_outbox_size=2**18)
    with (
        server.open_socket("/room/", sock=connect_slowly(server), max_queue=1, ping_interval=None) as slow,
        server.open_socket("/room/") as quick,
    ):
        sent = 0
        while not server.count_disconnects("/room/"):
            quick.send(FRAME)
            assert quick.recv(timeout=PATIENCE) == FRAME
            sent += 1
            assert sent * len(FRAME) < 2**26, "Nobody has noticed the slow reader."

        frames, code = until_closed(slow)
        assert code == 1013
        assert 0 < len(frames) < sent
        quick.send("still here")
        assert quick.recv(timeout=PATIENCE) == "still here"
    assert "closed: it reads too slowly" in server.log


@pytest.mark.parametrize("name", COMMANDS)
def test_slow_downloads_hold_no_worker_and_their_room_is_given_back(start, name):
    server = start(name, spool_memory=2**20)
    with contextlib.ExitStack() as stack:
        # Twice as many as there are workers.
        for _ in range(8):
            slow = stack.enter_context(connect_slowly(server))
            slow.sendall(b"GET /download/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert slow.recv(12) == b"HTTP/1.1 200"
        server.wait_for_note("download made", 8)

        assert server.fetch("/") == (200, b"Hello, world!")
        assert server.temporary_files
    server.wait_until(lambda: not server.temporary_files)


@pytest.mark.parametrize("name", COMMANDS)
def test_past_the_limits_a_download_is_made_at_the_pace_of_its_client(start, name):
    server = start(name, spool_memory=2**20, response_limit=2**20)
    with connect_slowly(server) as slow:
        slow.sendall(b"GET /download/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert slow.recv(12) == b"HTTP/1.1 200"
        server.fetch("/download/")

        # The slow one was the first to begin, and would be the first to end if it did not wait for its client.
        assert server.notes.count("download made") == 1
    server.wait_for_note("left /download/")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_client_that_sends_too_much_is_read_at_the_pace_of_the_workers(start, name):
    server = start(name)
    sent = []

    def flood():
        with contextlib.suppress(ConnectionClosed):
            for number in range(4000):
                websocket.send(FRAME)
                sent.append(number)

    with server.open_socket("/busy/") as websocket, ThreadPoolExecutor() as pool:
        flooding = pool.submit(flood)
        server.wait_for_note("taken", 100)

        # What lies in the layer, and in the buffers of both sides of the connection.
        assert len(sent) < 1500
        websocket.socket.shutdown(socket.SHUT_RDWR)
        flooding.result()


# Memory


def open_raw_socket(client, path):
    """Open a WebSocket that answers nothing by itself, and leave unread what follows the handshake."""
    client.sendall(HANDSHAKE % path)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += client.recv(1)
    assert head.startswith(b"HTTP/1.1 101")


def frame(kind, payload):
    """Return a frame of a client, with a mask that changes nothing."""
    size = len(payload)
    length = struct.pack(">B", 128 + size) if size < 126 else struct.pack(">BH", 128 + 126, size)
    return bytes([128 + kind]) + length + bytes(4) + payload


def pour(client, data, size):
    """Send the data again and again: so many bytes, or until the server takes none for a second."""
    client.settimeout(1)
    with contextlib.suppress(OSError):
        for _ in range(size // len(data)):
            client.sendall(data)


FLOODS = {"echoes": frame(TEXT, FRAME.encode()), "pongs": frame(PING, b"x" * 125) * 100}
# Uvicorn and granian keep pongs until they are read, and only they could do something about that.
BOUNDED = [(name, "echoes") for name in COMMANDS] + [("daphne", "pongs"), ("hypercorn", "pongs")]


@pytest.mark.parametrize(("name", "answers"), BOUNDED)
def test_a_client_that_does_not_read_its_answers_fills_no_memory(start, name, answers):
    server = start(name)
    with connect_slowly(server) as client:
        open_raw_socket(client, b"/echo/")
        before = server.resident_size

        pour(client, FLOODS[answers], 100 * MIB)

        assert server.resident_size - before < 30 * MIB


@pytest.mark.parametrize("name", COMMANDS)
def test_what_a_client_sends_after_the_close_frame_is_not_kept(start, name):
    server = start(name)
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as client:
        open_raw_socket(client, b"/closing/")
        client.sendall(frame(TEXT, b"4000"))
        server.wait_until(server.count_disconnects, "/closing/")
        before = server.resident_size

        pour(client, frame(TEXT, FRAME.encode()), 100 * MIB)

        assert server.resident_size - before < 30 * MIB
