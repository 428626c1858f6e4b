"""The same site behind daphne, uvicorn, hypercorn and granian: what all of them must do."""

import contextlib
import hashlib
import http.client
import json
import os
import signal
import socket
import time

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from .processes import COMMANDS, HANDSHAKE, PATIENCE, ServerProcess, until_closed
from .site.views import DOWNLOAD_SIZE, blocks


@pytest.fixture(scope="module")
def checksum():
    digest = hashlib.sha256()
    for block in blocks():
        digest.update(block)
    return digest.hexdigest()


# Requests


def test_a_page(server):
    assert server.fetch("/?name=J%C3%B6rg") == (200, "Hello, Jörg!".encode())


def test_load_balancers_are_answered_by_the_server_itself(server):
    server.wait_until(lambda: server.fetch("/readyz")[0] == 200)
    head = server.raw(b"HEAD /readyz HTTP/1.1\r\nHost: 10.0.0.7\r\nConnection: close\r\n\r\n")

    assert (server.fetch("/livez"), server.fetch("/readyz")) == ((200, b"ok\n"), (200, b"ok\n"))
    assert (head[:12], head[-4:]) == (b"HTTP/1.1 200", b"\r\n\r\n")
    assert server.fetch("/livez", b"x" * 100_000)[0] == 405


def test_a_large_upload_arrives_as_it_was_sent(server, checksum):
    status, content = server.fetch("/upload/", blocks(), {"content-length": str(DOWNLOAD_SIZE)})

    assert (status, json.loads(content)) == (200, {"checksum": checksum, "size": DOWNLOAD_SIZE})


def test_an_upload_in_chunks_arrives_as_it_was_sent(server):
    status, content = server.fetch("/upload/", (b"x" * 1000 for _ in range(1000)))

    assert (status, json.loads(content)["size"]) == (200, 1_000_000)


def test_a_streamed_download_arrives_as_it_was_made(server, checksum):
    connection, response = server.begin("/download/")

    digest = hashlib.sha256()
    while part := response.read(2**20):
        digest.update(part)
    connection.close()
    assert digest.hexdigest() == checksum


def test_a_response_that_fails_in_its_middle_is_no_whole_response(server):
    connection, response = server.begin("/half/")

    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        response.read()
    connection.close()


def test_long_polls_are_answered_through_a_group(server):
    polls = [server.get_ready("/poll/") for _ in range(10)]
    server.wait_for_note("poll begun", 10)

    # More than there are worker threads: none is held by a request that waits.
    assert server.fetch("/") == (200, b"Hello, world!")
    server.fetch("/publish/polls/", b"the news")

    assert [poll.getresponse().read() for poll in polls] == [b"the news"] * 10
    for poll in polls:
        poll.close()


def test_an_event_stream_is_held_open(server):
    connection, response = server.begin("/events/")
    assert response.getheader("content-type") == "text/event-stream"
    assert response.readline() + response.readline() == b": open\n\n"

    for number in range(3):
        server.fetch("/publish/events/", b"data: %d\n\n" % number)
        assert response.readline() + response.readline() == b"data: %d\n\n" % number
    connection.close()


def test_a_client_that_leaves_a_long_poll_is_reported(server):
    before = server.notes.count("left /poll/")
    begun = server.notes.count("poll begun")
    poll = server.get_ready("/poll/")
    server.wait_for_note("poll begun", begun + 1)

    poll.close()

    server.wait_for_note("left /poll/", before + 1)


def test_clients_that_come_back_at_once_need_not_try_again(server):
    server.fetch("/")
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        with contextlib.ExitStack() as stack:
            for _ in range(90):
                stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=0.5))
    finally:
        os.kill(server.process.pid, signal.SIGCONT)
    assert server.fetch("/")[0] == 200


# Sockets


FRAMES = ["text", b"bytes", "", b"", "😀 \x00", b"\x00\xff", "x" * 2**19, b"x" * 2**19]


def test_an_echo_socket_returns_every_kind_of_frame(server):
    with server.open_socket("/echo/") as websocket:
        for frame in FRAMES:
            websocket.send(frame)

            assert websocket.recv(timeout=PATIENCE) == frame


def test_the_frames_of_a_socket_are_answered_in_their_order_by_any_number_of_workers(server):
    with server.open_socket("/echo/") as websocket:
        for number in range(50):
            websocket.send(str(number))

        assert [websocket.recv(timeout=PATIENCE) for _ in range(50)] == list(map(str, range(50)))


@pytest.mark.parametrize("frames", [1, 5])
def test_that_a_client_leaves_is_noticed_while_its_consumer_is_at_work(server, frames):
    ended, begun = server.count_disconnects("/thinking/"), server.notes.count("begun to think")
    with server.open_socket("/thinking/") as websocket:
        for number in range(frames):
            websocket.send("0.1" if number else "2")
        server.wait_for_note("begun to think", begun + 1)
    left = time.monotonic()

    with server.open_socket("/members/") as other:
        while other.send("thinkers") or other.recv(timeout=PATIENCE) != "0":
            assert time.monotonic() - left < 1

    # Its consumers are told of that after all it has sent.
    server.wait_until(lambda: server.count_disconnects("/thinking/") == ended + 1)
    assert server.notes.count("begun to think") == begun + frames


def test_daphne_expects_no_pong_from_a_client_that_is_not_read_while_its_consumer_takes_long(tmp_path):
    command = [*COMMANDS["daphne"], "--ping-interval", "1", "--ping-timeout", "3"]
    with ServerProcess(command, tmp_path) as server, server.open_socket("/thinking/") as websocket:
        websocket.send("8")
        # More than are read ahead.
        for _ in range(50):
            websocket.send("0.001")

        with pytest.raises(TimeoutError):
            websocket.recv(timeout=7)
        server.wait_for_note("begun to think", 51)


def test_a_rejected_socket_gets_403(server):
    with pytest.raises(InvalidStatus) as refused, server.open_socket("/rejected/"):
        pass

    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("name", COMMANDS)
def test_a_socket_that_nobody_answers_is_refused_when_the_settings_say_so(tmp_path, name):
    # Daphne has a limit of its own, five seconds by default.
    options = {"daphne": ["--websocket_connect_timeout", "1"]}
    command = [*COMMANDS[name], *options.get(name, ())]
    with ServerProcess(command, tmp_path, LIMITS=json.dumps({"handshake_timeout": 2, "stop_grace": 1})) as server:
        with pytest.raises(InvalidStatus) as refused, server.open_socket("/silent/"):
            pass

        assert refused.value.response.status_code == 403
        assert "no consumer has answered its websocket.connect message within 2 s" in server.log


def test_a_group_message_reaches_every_member_once_and_in_order(server):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(server.open_socket("/room/")) for _ in range(5)]

        for number in range(20):
            sockets[number % 5].send(str(number))
            # One after the other: several workers take the frames of different sockets in any order.
            assert [websocket.recv(timeout=PATIENCE) for websocket in sockets] == [str(number)] * 5


@pytest.mark.parametrize("code", [1000, 1008, 1013, 4000])
def test_a_consumer_closes_a_socket_with_a_code(server, code):
    with server.open_socket("/closing/") as websocket:
        websocket.send(str(code))

        assert until_closed(websocket) == (["bye"], code)


def test_wrong_replies_and_a_reply_after_the_close_harm_nobody(server):
    with server.open_socket("/mistakes/") as websocket:
        websocket.send("go on")
        assert websocket.recv(timeout=PATIENCE) == "one"

        websocket.send("close")
        assert until_closed(websocket) == (["one"], 1000)


def test_a_frame_above_the_limits_closes_its_socket_with_a_reason_and_no_other(server):
    with server.open_socket("/") as loud, server.open_socket("/") as quiet:
        # The server need not wait for the end of the frame.
        with contextlib.suppress(ConnectionClosed):
            loud.send("x" * 2 * 2**20)
        frames, code = until_closed(loud)
        quiet.send("still here")

        assert (frames, code) == ([], 1009)
        assert quiet.recv(timeout=20) == "still here"


def test_sockets_that_leave_at_once_are_reported_as_often_as_they_connected(server):
    ended = server.count_disconnects("/late/")
    connected = server.notes.count("connect /late/")
    for _ in range(30):
        server.raw(HANDSHAKE % b"/late/", wait=False)

    with server.open_socket("/late/"):
        # The last of them: every consumer of the others has run, or will run now.
        pass
    server.wait_until(lambda: server.notes.count("connect /late/") > connected)
    server.wait_until(
        lambda: server.notes.count("connect /late/") - connected == server.count_disconnects("/late/") - ended
    )
    with server.open_socket("/room/") as websocket:
        websocket.send("nobody else is here")
        assert websocket.recv(timeout=PATIENCE) == "nobody else is here"


# Bad input


END = b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"

ODD_REQUESTS = {
    "a bad percent escape": (b"GET /%zz" + END + b"\r\n", 404),
    "a path that is no UTF-8": (b"GET /%ff/" + END + b"\r\n", 404),
    "a path with a null": (b"GET /%00/" + END + b"\r\n", 404),
    "a bad percent escape in the query": (b"GET /?name=%zz" + END + b"\r\n", 200),
    "a query that is no UTF-8": (b"GET /?name=%ff" + END + b"\r\n", 200),
    "a header that is no ASCII": (b"GET /" + END + b"X-Name: \xff\xfe\r\n\r\n", 200),
    "raw bytes in the path": (b"GET /\xff/" + END + b"\r\n", 400),
    "raw bytes in the query": (b"GET /?name=\xff" + END + b"\r\n", 400),
    "a control character in a header": (b"GET /" + END + b"X-Name: a\x0bb\r\n\r\n", 400),
    "a header without a name": (b"GET /" + END + b": 1\r\n\r\n", 400),
    "no HTTP at all": (b"\x00\x01\x02\r\n\r\n\r\n", 400),
}


@pytest.mark.parametrize(("request_", "status"), ODD_REQUESTS.values(), ids=ODD_REQUESTS)
def test_an_odd_request_gets_an_answer_and_the_server_goes_on(server, request_, status):
    logged = len(server.log)

    response = server.raw(request_)

    assert response.split()[1] == str(status).encode()
    assert "Traceback" not in server.log[logged:]
    assert server.fetch("/") == (200, b"Hello, world!")


BROKEN_REQUESTS = {
    "a huge header": b"GET /" + END + b"X-Huge: " + b"x" * 2**18 + b"\r\n\r\n",
    "thousands of headers": b"GET /" + END + b"X-Many: 1\r\n" * 5000 + b"\r\n",
    "a long address": b"GET /?" + b"x" * 2**17 + END + b"\r\n",
    "a body that breaks off": b"POST /upload/" + END + b"Content-Length: 1000000\r\n\r\n" + b"x" * 1000,
    "a chunk that is none": b"POST /upload/" + END + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc",
    "a negative length": b"POST /upload/" + END + b"Content-Length: -5\r\n\r\n",
    "a handshake without a key": HANDSHAKE.replace(b"Sec-WebSocket-Key", b"X-Key") % b"/echo/",
    "a handshake with an old version": HANDSHAKE.replace(b"13", b"5") % b"/echo/",
}


@pytest.mark.parametrize("request_", BROKEN_REQUESTS.values(), ids=BROKEN_REQUESTS)
def test_a_broken_request_leaves_the_server_as_it_was(server, request_):
    logged = len(server.log)

    server.raw(request_, wait=False)

    assert server.fetch("/") == (200, b"Hello, world!")
    assert "/channels/" not in server.log[logged:], "The engine has failed."


BROKEN_FRAMES = {
    "rubbish": b"\xff" * 100,
    "another protocol": b"GET / HTTP/1.1\r\n\r\n",
    "no mask": b"\x81\x01a",
    "an unknown kind": b"\x83\x80\0\0\0\0",
    "the continuation of nothing": b"\x80\x80\0\0\0\0",
    "text that is no UTF-8": b"\x81\x81\0\0\0\0\xff",
    "a close code that does not exist": b"\x88\x82\0\0\0\0\x03\xec",
}


@pytest.mark.parametrize("frame", BROKEN_FRAMES.values(), ids=BROKEN_FRAMES)
def test_a_broken_frame_ends_its_socket_and_its_consumer_is_told_once(server, frame):
    ended, logged = server.count_disconnects("/echo/"), len(server.log)
    begun = time.monotonic()

    server.raw(HANDSHAKE % b"/echo/", then=frame)

    server.wait_until(lambda: server.count_disconnects("/echo/") > ended)
    assert time.monotonic() - begun < 14
    with server.open_socket("/echo/") as websocket:
        websocket.send("still here")
        assert websocket.recv(timeout=PATIENCE) == "still here"
    server.wait_until(lambda: server.count_disconnects("/echo/") == ended + 2)
    assert "/channels/" not in server.log[logged:], "The engine has failed."


def test_a_frame_that_is_announced_with_4_exabytes_harms_nobody(server):
    ended = server.count_disconnects("/echo/")
    announcement = b"\x82\xff" + (2**62).to_bytes(8, "big") + b"\0\0\0\0" + b"x" * 1000

    # Some servers close such a socket at once, some wait for the data.
    server.raw(HANDSHAKE % b"/echo/", then=announcement, wait=False)

    server.wait_until(lambda: server.count_disconnects("/echo/") == ended + 1)
    assert server.fetch("/") == (200, b"Hello, world!")
