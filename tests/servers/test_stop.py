"""A planned stop: whoever is connected is told, and nothing that has begun is lost."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from .processes import COMMANDS, until_closed

# Uvicorn ends by the signal itself, once it has done everything else.
EXIT_CODES = {"uvicorn": -signal.SIGTERM}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_stop_tells_clients_and_consumers_and_completes_what_has_begun(start, name):
    server = start(name)
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        sockets = [stack.enter_context(server.open_socket("/room/")) for _ in range(20)]
        request = pool.submit(server.fetch, "/slow/")
        server.wait_for_note("slow view begun")
        begun = time.monotonic()

        code = server.stop()

        assert code == EXIT_CODES.get(name, 0)
        assert time.monotonic() - begun < 10
        assert request.result() == (200, b"done")
        assert [until_closed(websocket) for websocket in sockets] == [([], 1012)] * 20
    ends = [note.split() for note in server.notes if note.startswith("disconnect")]
    assert [(path, code) for _, path, code, _ in ends] == [("/room/", "1012")] * 20
    assert len({reply_channel for *_, reply_channel in ends}) == 20


# granian cuts most of them off.
@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "granian"])
def test_a_stop_tells_each_of_many_clients_and_its_consumer(start, name):
    server = start(name)
    with ExitStack() as stack:
        sockets = [stack.enter_context(server.open_socket("/room/")) for _ in range(200)]
        begun = time.monotonic()

        assert server.stop() == EXIT_CODES.get(name, 0)

        # In eight batches.
        assert time.monotonic() - begun > 0.65
        assert [until_closed(websocket) for websocket in sockets] == [([], 1012)] * 200
    assert [note.split()[2] for note in server.notes if note.startswith("disconnect")] == ["1012"] * 200


@pytest.mark.parametrize("name", COMMANDS)
def test_a_socket_that_is_connecting_at_a_stop_is_reported_too(start, name):
    server = start(name)
    with ThreadPoolExecutor() as pool:
        opening = pool.submit(server.open_socket, "/slow/")
        server.wait_for_note("connecting /slow/")

        server.stop()

        # A server that waits before it tells anybody may let the socket in; then it is closed as all the others.
        if opening.exception() is None:
            with opening.result() as websocket:
                assert until_closed(websocket) == ([], 1012)
    assert server.count_disconnects("/slow/") == 1


@pytest.mark.parametrize("name", COMMANDS)
def test_the_end_of_a_socket_is_told_after_what_its_consumers_do_at_a_stop(start, name):
    server = start(name)
    with server.open_socket("/thinking/") as websocket:
        for seconds in ("1", "0.1"):
            websocket.send(seconds)
        # The answer shows that the server has both.
        websocket.ping().wait(10)
        server.wait_for_note("begun to think")

        assert server.stop() == EXIT_CODES.get(name, 0)
        assert until_closed(websocket) == ([], 1012)
    assert [note.split()[0] for note in server.notes] == ["begun", "begun", "disconnect"]


@pytest.mark.parametrize("name", COMMANDS)
def test_long_polls_and_streams_cannot_hold_up_a_stop(start, name):
    server = start(name, stop_grace=1)
    poll, (stream, _) = server.get_ready("/poll/"), server.begin("/events/")
    server.wait_for_note("poll begun")
    begun = time.monotonic()

    server.stop()

    assert time.monotonic() - begun < 10
    poll.close()
    stream.close()


@pytest.mark.parametrize("name", COMMANDS)
def test_an_idle_server_stops_at_once(start, name):
    server = start(name)
    server.fetch("/")

    assert server.stop() == EXIT_CODES.get(name, 0)
