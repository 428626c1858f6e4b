"""`runworker` in processes of its own: how it begins, what it says, and that it stops without losing anything."""

import asyncio
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time

import pytest

from channels.worker.supervisor import READY_VARIABLE

from .conftest import WORKERS, Site, children
from .ledger import Ledger


def test_twenty_stops_lose_nothing(site):
    """Stop requests come at any moment: while a worker waits, receives, works or sends."""
    server = site.serve()

    async def come_and_go(stops):
        statuses = []
        for number in range(stops):
            workers = await asyncio.to_thread(site.work, "--threads", "2")
            await asyncio.sleep(0.1)
            workers.process.send_signal((signal.SIGTERM, signal.SIGINT)[number % 2])
            statuses.append(await asyncio.to_thread(workers.process.wait, 30))
        return statuses

    async def visit():
        ledger = Ledger(server.port, rooms=2, per_room=5, path="/unordered/room%d/")
        workers = site.work()
        await ledger.open()
        stop = asyncio.Event()
        visitors = asyncio.create_task(ledger.send_steadily(per_second=100, stop=stop))
        statuses = await asyncio.gather(*(come_and_go(stops=5) for _ in range(4)))
        stop.set()
        await visitors
        await ledger.settle()
        await ledger.close()
        return ledger, [status for group in statuses for status in group] + [workers.stop()]

    ledger, statuses = asyncio.run(visit())

    assert statuses == [0] * 21
    assert (ledger.count_missing(), ledger.count_repeated()) == (0, 0)
    assert site.layer().channel_statistics("websocket.receive")["messages_unfinished"] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_worker_that_is_alone_finishes_its_message_before_it_ends(site, number):
    server, workers = site.serve(), site.work()

    with server.open_socket("/rooms/hall/") as socket:
        socket.send(json.dumps({"id": "last", "sleep": 1}))
        server.wait_until(lambda: any(line.startswith("begun last") for line in site.notes))
        workers.process.send_signal(number)

        assert json.loads(socket.recv(timeout=20))["id"] == "last"
    assert workers.process.wait(20) == 0


def test_a_worker_is_ready_when_it_has_reached_redis(tmp_path, own_valkey):
    reader, writer = os.pipe()
    with contextlib.ExitStack() as stack, (tmp_path / "log").open("w+") as log:
        stack.callback(os.close, reader)
        site = Site(tmp_path, own_valkey, stack)
        environment = {**os.environ, **site.environment, "SECRET_KEY": "x", READY_VARIABLE: str(writer)}
        own_valkey.stop()
        worker = subprocess.Popen(WORKERS, env=environment, pass_fds=[writer], stderr=log)
        stack.callback(worker.kill)
        os.close(writer)
        while "cannot reach the channel layer" not in (tmp_path / "log").read_text():
            assert worker.poll() is None
            time.sleep(0.05)
        early, _, _ = select.select([reader], [], [], 1)

        own_valkey.start()
        told = os.read(reader, 1)
        deadline = time.monotonic() + 10
        while "reaches the channel layer again" not in (tmp_path / "log").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        worker.terminate()

        assert early == []
        assert told == b"1"
        assert worker.wait(20) == 0
        assert (tmp_path / "log").read_text().count("reaches the channel layer again") == 1


def test_workers_that_reload_bring_new_code_to_sockets_that_stay_open(site):
    server, workers = site.serve(), site.work("--reload")

    with server.open_socket("/rooms/hall/") as socket:
        socket.send(json.dumps({"id": "old"}))
        assert json.loads(socket.recv(timeout=20))["version"] == 1
        workers.wait_until(lambda: "site_code/consumers.py first seen" in workers.log)
        site.deploy(version=2)
        workers.wait_until(lambda: workers.log.count("  channels: ") == 2)
        socket.send(json.dumps({"id": "new"}))

        assert json.loads(socket.recv(timeout=20))["version"] == 2


def test_runworker_refuses_what_it_cannot_do(site):
    def run(*arguments):
        command = [sys.executable, "-m", "django", "runworker", *arguments]
        environment = {**os.environ, **site.environment, "SECRET_KEY": "x"}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    unknown, none_left = run("--layer", "other"), run("--only-channels", "nothing.*")

    nobody, twice = run("--threads", "0"), run("--processes", "2", "--reload")
    assert (nobody.returncode, twice.returncode) == (2, 1)
    assert "at least 1 is needed" in nobody.stderr
    assert "--reload is for development and goes with one process" in twice.stderr
    assert unknown.returncode == 1
    assert "CHANNEL_LAYERS has no layer 'other'" in unknown.stderr
    assert none_left.returncode == 1
    assert "These filters leave no channel" in none_left.stderr


def test_a_verbose_worker_says_what_each_message_goes_through(site):
    server, quiet = site.serve(), site.work("--only-channels", "websocket.connect")
    workers = site.work("-v", "2", "--exclude-channels", "websocket.connect")

    with server.open_socket("/unordered/hall/") as socket:
        socket.send(json.dumps({"id": "1"}))
        socket.recv(timeout=20)

    assert "DEBUG channels.worker.consumption: Running site_code.consumers.receive_unordered" in workers.log
    assert "DEBUG channels" not in quiet.log


def test_a_worker_says_what_it_reads_and_what_it_leaves_to_others(site):
    workers = site.work("--only-channels", "websocket.*", "--threads", "3")

    assert "channels: websocket.connect, websocket.disconnect, websocket.receive" in workers.log
    assert "not read here, so another worker must: http.disconnect, http.request" in workers.log
    assert "3 thread(s)" in workers.log
    assert "match no routed channel" not in workers.log


def test_a_worker_names_the_patterns_that_match_nothing(site):
    arguments = ["--only-channels", "websocket.*", "--only-channels", "htpp.*", "--exclude-channels", "thumbnail"]
    workers = site.work(*arguments)
    workers.wait_until(lambda: "thread(s)" in workers.log)

    assert "these patterns match no routed channel, are they misspelt? htpp.*, thumbnail\n" in workers.log


def test_a_second_signal_ends_a_worker_which_says_what_it_does_not_wait_for(tmp_path, own_valkey):
    with contextlib.ExitStack() as stack:
        site = Site(tmp_path, own_valkey, stack)
        server, busy = site.serve(), site.work("--exclude-channels", "http.*")
        socket = stack.enter_context(server.open_socket("/rooms/hall/"))
        socket.send(json.dumps({"id": "long", "sleep": 30}))
        server.wait_until(lambda: any(line.startswith("begun long") for line in site.notes))
        busy.process.terminate()
        time.sleep(0.5)
        idle = site.work("--only-channels", "http.*")
        own_valkey._process.send_signal(signal.SIGSTOP)
        stack.callback(own_valkey._process.send_signal, signal.SIGCONT)
        idle.process.terminate()
        time.sleep(0.5)
        statuses = busy.stop(), idle.stop()

    assert statuses == (1, 1)
    assert "Stopped without waiting any longer for site_code.consumers.receive_unordered with <Message on" in busy.log
    assert "Stopped without waiting any longer for an answer of the channel layer" in idle.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_parent_and_children_at_once_cuts_no_message_off(site, number):
    """A terminal sends it to all of them, and so do some hosts; then the parent tells its children again."""
    server, workers = site.serve(), site.work("--processes", "2", "--threads", "1")
    workers.wait_until(lambda: workers.log.count("thread(s)") == 2)

    with server.open_socket("/rooms/hall/") as socket:
        socket.send(json.dumps({"id": "last", "sleep": 2}))
        server.wait_until(lambda: any(line.startswith("begun last") for line in site.notes))
        for pid in (*children(workers.process.pid), workers.process.pid):
            os.kill(pid, number)

        assert json.loads(socket.recv(timeout=20))["id"] == "last"
    assert workers.process.wait(20) == 0
    assert site.layer().channel_statistics("websocket.receive")["messages_unfinished"] == 0
