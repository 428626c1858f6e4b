"""A client that does not read: it is closed with 1013, and nobody else waits for it."""

import socket
import threading

import pytest

from .processes import PATIENCE, until_closed

# Of each frame this much lies in the buffers of a connection before anything is noticed.
FRAME = "x" * 2**15


def read(websocket, frames):
    for _ in range(frames):
        assert websocket.recv(timeout=PATIENCE) == FRAME


# Daphne takes whatever it is given: behind it nobody notices that a client does not read.
@pytest.mark.parametrize("name", ["uvicorn", "hypercorn", "granian"])
def test_a_slow_reader_is_closed_with_1013_and_holds_nobody_up(start, name):
    server = start(name, socket_outbox_size=2**18)
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**12)
    narrow.connect(("127.0.0.1", server.port))
    with (
        server.open_socket("/room/", sock=narrow, max_queue=1, ping_interval=None) as slow,
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
