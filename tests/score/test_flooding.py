"""What a flood costs, and the client that floods."""

import socket
import threading

from score.flooder import FRAME, flooding
from score.flooding import _take, sum_up

ACCEPTED = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"


def turns(plain, flooded, missing=0, frames=1000):
    return {"plain": plain, "flooded": flooded, "missing": missing, "echoes": 100, "frames": frames}


def test_the_worst_of_all_layers_and_servers_counts_by_the_median_of_its_turns():
    found = {"a": turns([5, 6, 90], [9, 8, 7], frames=10), "b": turns([5, 5, 5], [30, 20, 9], missing=1)}

    figures = sum_up(found)

    assert (figures["cost_ms"], figures["costs"]) == (15, "a +2 ms; b +15 ms")
    assert (figures["missing"], figures["echoes"], figures["frames"]) == (1, 200, 10)


def test_an_echo_that_never_came_counts_as_long_as_it_was_waited_for():
    found = turns([], [])
    _take(found, "plain", [0.01] * 90 + [None] * 10)

    assert (found["plain"], found["missing"], found["echoes"]) == ([5000], 10, 200)


def test_a_flood_goes_on_when_its_socket_is_closed():
    again = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = threading.Thread(target=close_the_first, args=(listening, again))
        server.start()
        with flooding(listening.getsockname()[1], "/echo/flood/", 1) as written:
            assert again.wait(20)
        server.join()

    assert written[0] >= 40


def close_the_first(listening, again):
    """Take twenty frames of each of two clients; close the first one, and read the second one to its end."""
    for _ in range(2):
        client, _ = listening.accept()
        with client, client.makefile("rb") as stream:
            while stream.readline() != b"\r\n":
                pass
            client.sendall(ACCEPTED)
            assert stream.read(20 * len(FRAME)) == 20 * FRAME
    again.set()
