"""Processes that die at any moment, or stop, leave the others working and the map whole."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from channels.layers.ipc import IPCChannelLayer, bells, queues, readers

from ....baking import FOLDER, REPOSITORY
from . import killing
from .conftest import SIZE

KILLS = 30
# Does what the first argument says with a layer in the folder of the second, and says when it begins.
HELPER = """
import os, signal, sys, time
from channels.layers.ipc import IPCChannelLayer
what, path = sys.argv[1:]
layer = IPCChannelLayer(path, size=8 * 2**20)
layer.receive(["nothing"])
print("ready", flush=True)
if what == "waits":
    layer.receive(["jobs"], block=True)
elif what == "holds":
    layer.store.visit(layer, lambda visit: (visit.put(b"h", b"half done"), print("holds", flush=True), time.sleep(60)))
elif what == "stops":
    layer.store.visit(layer, lambda visit: (print("inside", flush=True), os.kill(os.getpid(), signal.SIGSTOP)))
    layer.send("mail", {})
    print("goes on", flush=True)
"""


@pytest.fixture
def helper(tmp_path):
    """Return a function that starts a process that does something with the layer."""
    started = []

    def start(what):
        process = subprocess.Popen(
            [sys.executable, "-c", HELPER, what, tmp_path],
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY / FOLDER)},
        )
        started.append(process)
        assert process.stdout.readline() == b"ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def layer(tmp_path):
    return IPCChannelLayer(tmp_path, size=SIZE)


def wait_until_it_waits(layer):
    deadline = time.monotonic() + 10
    while not layer.store.visit(layer, lambda visit: visit.keys(b"sjobs")):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_processes_that_are_killed_at_any_moment_lose_what_they_had_in_hand_and_nothing_else(tmp_path):
    command = [sys.executable, "-m", killing.__name__, tmp_path, "--kills", str(KILLS)]
    path = os.pathsep.join(map(str, (REPOSITORY, REPOSITORY / FOLDER)))
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    found = killing.json.loads(done.stdout)

    assert (found["twice"], found["never sent"]) == ([], [])
    assert found["missing"] <= found["unfinished"] <= found["kills"]
    assert found["slowest"] < 1
    assert found["sent"] > 1000


def test_a_process_that_is_killed_in_the_middle_of_a_visit_leaves_nothing_of_it(layer, helper):
    process = helper("holds")
    assert process.stdout.readline() == b"holds\n"
    process.kill()
    began = time.monotonic()
    layer.send("jobs", {})

    assert time.monotonic() - began < 1
    assert layer.store.visit(layer, lambda visit: visit.get(b"h")) is None
    assert layer.receive(["jobs"]) == ("jobs", {})


def state(process):
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_process_that_is_stopped_in_the_middle_of_a_visit_holds_nobody_up_and_stays_stopped_until_it_is_sent_on(
    layer, helper
):
    process = helper("stops")
    assert process.stdout.readline() == b"inside\n"
    times = []
    for _ in range(2):
        began = time.monotonic()
        layer.send("jobs", {})
        times.append(time.monotonic() - began)
    deadline = time.monotonic() + 10
    while state(process) != "T":
        assert time.monotonic() < deadline, "It was sent on, and not stopped again."
        time.sleep(0.01)
    process.send_signal(signal.SIGCONT)

    assert max(times) < 1
    assert process.stdout.readline() == b"goes on\n"
    assert layer.receive(["mail"]) == ("mail", {})


def test_nobody_is_held_up_by_a_process_that_was_stopped_while_it_waits(layer, helper):
    process = helper("waits")
    wait_until_it_waits(layer)
    process.send_signal(signal.SIGSTOP)
    reader = threading.Thread(target=lambda: received.append(layer.receive(["jobs"], block=True, timeout=20)))
    received = []
    reader.start()
    began = time.monotonic()
    layer.send("jobs", {"number": 1})
    reader.join()
    waited = time.monotonic() - began
    process.send_signal(signal.SIGCONT)
    layer.send("jobs", {"number": 2})
    process.wait(10)

    assert received == [("jobs", {"number": 1})]
    # It may have been the other one that was woken.
    assert waited < readers.LOOK_AGAIN + 1


def test_the_next_reader_is_woken_at_once_in_place_of_one_that_was_killed(layer, helper):
    processes = [helper("waits") for _ in range(3)]
    wait_until_it_waits(layer)
    for process in processes:
        process.kill()
        process.wait()
    received = []
    reader = threading.Thread(target=lambda: received.append(layer.receive(["jobs"], block=True, timeout=20)))
    reader.start()
    deadline = time.monotonic() + 10
    while len(layer.store.visit(layer, lambda visit: visit.keys(b"sjobs"))) < 4:
        assert time.monotonic() < deadline
    began = time.monotonic()
    layer.send("jobs", {})
    reader.join()

    assert received == [("jobs", {})]
    assert time.monotonic() - began < 1


def test_a_message_for_which_a_reader_was_woken_and_killed_waits_a_few_seconds_at_most(layer, helper):
    process = helper("waits")
    wait_until_it_waits(layer)
    process.send_signal(signal.SIGSTOP)
    # Woken, and never to take it.
    layer.send("jobs", {})
    process.kill()
    process.wait()
    began = time.monotonic()

    assert layer.receive(["jobs"], block=True, timeout=20) == ("jobs", {})
    assert time.monotonic() - began < 1


def test_one_who_waits_already_finds_it_when_he_looks_again_which_is_within_five_seconds(layer, monkeypatch):
    assert readers.LOOK_AGAIN < 5
    monkeypatch.setattr(readers, "LOOK_AGAIN", 0.3)
    received = []
    reader = threading.Thread(target=lambda: received.append(layer.receive(["jobs"], block=True, timeout=20)))
    reader.start()
    wait_until_it_waits(layer)
    # As if it had been another one's bell.
    layer.store.visit(layer, lambda visit: queues.take_first_bell(visit, "jobs"))
    layer.send("jobs", {})
    began = time.monotonic()
    reader.join()

    assert received == [("jobs", {})]
    assert time.monotonic() - began < 1


def test_the_bells_of_killed_processes_are_removed_by_the_next_one(layer, helper, monkeypatch):
    process = helper("waits")
    wait_until_it_waits(layer)
    process.kill()
    process.wait()
    assert len(list(layer.store.folder.glob("bell-*"))) == 1
    # It has been there for a while.
    monkeypatch.setattr(bells, "_TIME_TO_MAKE", 0.0)
    bells.Belfry(layer.store.folder).remove_dead()

    assert list(layer.store.folder.glob("bell-*")) == []
