"""Processes that die without a word, and a Redis that goes away: what is lost is bounded, and the rest goes on."""

import asyncio
import contextlib
import json
import os
import signal
import time

import pytest

from ..servers.processes import until_closed
from .conftest import Site, children
from .ledger import Ledger

KILLS = 4


def test_a_killed_worker_loses_only_what_it_was_working_on_and_is_replaced(site, valkey):
    server = site.serve()
    workers = site.work("--processes", "2", "--threads", "1")

    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(server.open_socket(f"/rooms/room{number}/")) for number in range(5)]
        sockets[0].send(json.dumps({"id": "lost", "sleep": 60}))
        note = server.wait_until(lambda: [line for line in site.notes if line.startswith("begun lost")])[0]
        # Every two seconds a process says what it is working on.
        held = f"{site.folder.name}:held"
        server.wait_until(lambda: any(b"websocket.receive" in packed for packed in valkey.client().hvals(held)))
        os.kill(int(note.split()[2]), signal.SIGKILL)
        killed = time.monotonic()
        workers.wait_until(lambda: "is replaced" in workers.log and len(children(workers.process.pid)) == 2)
        for number, socket in enumerate(sockets[1:]):
            for count in range(10):
                socket.send(json.dumps({"id": f"{number}-{count}"}))
        answers = [[json.loads(socket.recv(timeout=20))["id"] for _ in range(10)] for socket in sockets[1:]]
        workers.wait_until(lambda: "A message on websocket.receive" in workers.log)
        assert until_closed(sockets[0]) == ([], 1013)
        closed = time.monotonic()

    assert closed - killed < 20
    assert answers == [[f"{number}-{count}" for count in range(10)] for number in range(4)]
    assert site.layer().channel_statistics("websocket.receive")["messages_unfinished"] == 1


def kill_workers_under(server, workers, path):
    """Kill workers one after the other while visitors talk; return the visitors' ledger and the sockets that closed."""

    async def visit():
        ledger = Ledger(server.port, rooms=2, per_room=5, path=path)
        await ledger.open()
        stop = asyncio.Event()
        visitors = asyncio.create_task(ledger.send_steadily(per_second=100, stop=stop))
        for count in range(1, KILLS + 1):
            await asyncio.sleep(0.2)
            os.kill(children(workers.process.pid)[count % 2], signal.SIGKILL)
            await asyncio.to_thread(workers.wait_until, lambda: workers.log.count("  channels: ") == 2 + count)  # noqa: B023
        stop.set()
        await visitors
        # Some wait until it is noticed that one of their messages is lost.
        await ledger.settle(patience=25)
        dropped = list(ledger.closed)
        await ledger.close()
        return ledger, dropped

    return asyncio.run(visit())


def test_what_killed_workers_lose_is_at_most_what_they_worked_on_and_all_of_it_is_counted(site):
    """Kills come at any moment; each takes at most the message in hand with it, and that one is counted."""
    server = site.serve()
    workers = site.work("--processes", "2", "--threads", "1")

    ledger, dropped = kill_workers_under(server, workers, "/unordered/room%d/")

    lost = ledger.count_missing() / 5
    unfinished = site.layer().channel_statistics("websocket.receive")["messages_unfinished"]
    assert dropped == []
    assert ledger.count_repeated() == 0
    assert lost == unfinished <= KILLS


def test_with_ordering_they_lose_no_more_and_whoever_has_lost_a_message_is_told(site):
    server = site.serve()
    workers = site.work("--processes", "2", "--threads", "1")

    ledger, dropped = kill_workers_under(server, workers, "/rooms/room%d/")

    received = site.layer().channel_statistics("websocket.receive")
    # What a closed socket had sent and no worker had heard of is counted as dropped, and not as accepted.
    assert received["messages_count"] - len(ledger.heard()) == received["messages_unfinished"] <= KILLS
    assert {code for *_, code in dropped} <= {1013}
    assert len(dropped) == received["messages_unfinished"]
    assert {name[:2] for name in dropped} <= ledger.senders_with_missing()
    assert ledger.count_repeated() == 0
    assert ledger.count_disordered() == 0


def test_a_socket_goes_on_after_a_lost_message_unless_it_keeps_order(site):
    server, worker = site.serve(), site.work("--threads", "2")

    with server.open_socket("/rooms/one/") as ordered, server.open_socket("/unordered/other/") as ordinary:
        for socket, name in ((ordered, "ordered"), (ordinary, "ordinary")):
            socket.send(json.dumps({"id": name, "sleep": 60}))
            socket.send(json.dumps({"id": "next"}))
        server.wait_until(lambda: sum(line.startswith("begun ") for line in site.notes) == 2)
        worker.process.kill()
        killed = time.monotonic()
        site.work()

        assert until_closed(ordered) == ([], 1013)
        assert json.loads(ordinary.recv(timeout=20))["id"] == "next"
        assert time.monotonic() - killed < 20
        ordinary.send(json.dumps({"id": "last"}))
        assert json.loads(ordinary.recv(timeout=20))["id"] == "last"
    received = site.layer().channel_statistics("websocket.receive")
    assert received["messages_unfinished"] == 2


def test_a_consumer_that_works_long_in_a_living_worker_harms_nobody(site):
    server = site.serve()
    site.work("--threads", "3")
    layer = site.layer()

    with server.open_socket("/rooms/hall/") as waits, server.open_socket("/rooms/hall/") as other:
        waits.send(json.dumps({"id": "long", "sleep": 15}))
        waits.send(json.dumps({"id": "next"}))
        with server.open_socket("/rooms/exit/") as leaves:
            leaves.send(json.dumps({"id": "left", "sleep": 12}))
            server.wait_until(lambda: len(site.notes) == 2)
        left = time.monotonic()
        server.wait_until(lambda: not layer.group_channels("exit"))
        assert time.monotonic() - left < 1
        other.send(json.dumps({"id": "quick"}))

        for socket in (waits, other):
            assert [json.loads(socket.recv(timeout=30))["id"] for _ in range(3)] == ["quick", "long", "next"]
        # Its consumer had first to finish.
        assert [line.split()[2] for line in site.notes if line.startswith("disconnect")] == ["1000"]
    assert "lost" not in server.log


def test_a_consumer_at_work_is_not_taken_for_lost_when_the_store_has_lost_its_data(tmp_path, own_valkey):
    with contextlib.ExitStack() as stack:
        site = Site(tmp_path, own_valkey, stack)
        server, _ = site.serve(), site.work("--threads", "2")
        socket = stack.enter_context(server.open_socket("/rooms/hall/"))
        socket.send(json.dumps({"id": "long", "sleep": 20}))
        socket.send(json.dumps({"id": "next"}))
        server.wait_until(lambda: site.notes)

        own_valkey.stop()
        time.sleep(2)
        own_valkey.start()

        assert [json.loads(socket.recv(timeout=40))["id"] for _ in range(2)] == ["long", "next"]


def test_consumers_hear_once_of_every_connection_of_a_killed_interface_server(site):
    server, other = site.serve(), site.serve("uvicorn")
    site.work("--threads", "2")

    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(server.open_socket("/rooms/hall/", close_timeout=0)) for _ in range(50)]
        survivor = stack.enter_context(other.open_socket("/rooms/hall/"))
        sockets[0].send(json.dumps({"id": "hello"}))
        assert json.loads(survivor.recv(timeout=20))["id"] == "hello"
        server.process.kill()
        killed = time.monotonic()
        other.wait_until(lambda: sum(line.startswith("disconnect") for line in site.notes) >= 50)
        survivor.send(json.dumps({"id": "still here"}))
        assert json.loads(survivor.recv(timeout=20))["id"] == "still here"

    other.wait_until(lambda: sum(line.startswith("disconnect") for line in site.notes) >= 51)
    ends = [line.split()[1:] for line in site.notes if line.startswith("disconnect")]
    assert time.monotonic() - killed < 15
    assert sorted(code for _, code in ends) == ["1000", *["1006"] * 50]
    assert len({channel for channel, _ in ends}) == 51


def test_consumers_hear_once_of_every_request_that_a_killed_interface_server_was_holding(site, valkey):
    server, other = site.serve(), site.serve("uvicorn")
    site.work()

    with contextlib.ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(contextlib.closing(server.get_ready("/hold/")))
        other.wait_until(lambda: sum(line.startswith("held") for line in site.notes) == 5)
        # Requests that are open for a while leave a last will.
        client = valkey.client()
        other.wait_until(lambda: [client.hlen(key) for key in client.keys(f"{site.folder.name}:wills:*")] == [5])
        server.process.kill()
        killed = time.monotonic()
        other.wait_until(lambda: sum(line.startswith("left") for line in site.notes) >= 5)

    assert time.monotonic() - killed < 15
    held = sorted(line.split()[1] for line in site.notes if line.startswith("held"))
    assert sorted(line.split()[2] for line in site.notes if line.startswith("left")) == held


@pytest.mark.parametrize("pause", [0.1, 3])
def test_sockets_and_processes_survive_a_restart_of_redis_without_its_data(tmp_path, own_valkey, pause):
    with contextlib.ExitStack() as stack:
        site = Site(tmp_path, own_valkey, stack)
        server, workers = site.serve(), site.work("--threads", "2")
        sockets = [stack.enter_context(server.open_socket("/rooms/hall/")) for _ in range(20)]
        sockets[0].send(json.dumps({"id": "before"}))
        assert {json.loads(socket.recv(timeout=20))["id"] for socket in sockets} == {"before"}

        own_valkey.stop()
        time.sleep(pause)
        own_valkey.start()
        back = time.monotonic()
        server.wait_until(lambda: "registered again" in server.log)
        sockets[0].send(json.dumps({"id": "after"}))
        answers = {json.loads(socket.recv(timeout=20))["id"] for socket in sockets}

        assert answers == {"after"}
        assert time.monotonic() - back < 10
        # The last thing to work again may be the renewal of a lease.
        for program in (server, workers):
            program.wait_until(lambda program=program: "reaches the channel layer again" in program.log)
        assert (
            server.log.count("cannot reach the channel layer")
            == server.log.count("reaches the channel layer again, after ")
            == 1
        )
        assert (
            workers.log.count("cannot reach the channel layer")
            == workers.log.count("reaches the channel layer again, after ")
            == 1
        )
        assert server.process.poll() is None
        assert workers.process.poll() is None


def test_groups_whose_keys_were_deleted_are_whole_again_within_seconds(site, valkey):
    server = site.serve()
    site.work()

    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(server.open_socket("/rooms/hall/")) for _ in range(5)]
        client = valkey.client()
        keys = client.keys(f"{site.folder.name}:group:*")
        client.delete(*keys)
        server.wait_until(lambda: client.exists(*keys) == len(keys))
        sockets[0].send(json.dumps({"id": "again"}))

        assert keys
        assert {json.loads(socket.recv(timeout=20))["id"] for socket in sockets} == {"again"}
