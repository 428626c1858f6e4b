"""`channels.worker.supervisor`: worker processes are replaced when they die, and one by one when they are told to."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from channels.worker.supervisor import READY_VARIABLE, child_command, tell_ready

from ...baking import FOLDER, REPOSITORY

PATIENCE = 30

# A child that tells when it starts, is ready and ends. The file "behaviour" says how it behaves.
CHILD = """
import os, pathlib, signal, sys, time
from channels.worker.supervisor import tell_ready

def tell(word):
    with open("told", "a") as told:
        told.write(f"{word} {os.getpid()}\\n")

def end(*_):
    tell("ended")
    os._exit(0)

signal.signal(signal.SIGTERM, end)
tell("started")
behaviour = pathlib.Path("behaviour").read_text()
if behaviour == "broken":
    sys.exit(3)
if behaviour == "waiting":
    time.sleep(60)
if behaviour == "helpless":
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    tell("helpless")
    time.sleep(60)
if behaviour == "mute":
    os.close(int(os.environ["CHANNELS_READY_FD"]))
    tell("mute")
    time.sleep(60)
tell("ready")
tell_ready()
if behaviour == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    tell("deaf")
time.sleep(60)
"""
PARENT = """
import logging, sys
from channels.worker import supervisor
from channels.worker.supervisor import Supervisor
logging.basicConfig(level="INFO", stream=sys.stdout)
supervisor.READY_TIMEOUT = float(sys.argv[1])
sys.exit(Supervisor([sys.executable, "child.py"], 2).run())
"""


class Parent:
    """A supervisor of two children, in a process of its own."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "child.py").write_text(textwrap.dedent(CHILD))
        (folder / "told").touch()
        self.behave("well")

    def behave(self, behaviour):
        (self.folder / "behaviour").write_text(behaviour)

    def start(self, ready_timeout=PATIENCE):
        with (self.folder / "log").open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-u", "-c", PARENT, str(ready_timeout)],
                cwd=self.folder,
                env={"PYTHONPATH": str(REPOSITORY / FOLDER)},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def told(self, word):
        lines = [line.split() for line in (self.folder / "told").read_text().splitlines()]
        return [int(pid) for told, pid in lines if told == word]

    def wait_for(self, word, count):
        self.wait_until(lambda: len(self.told(word)) >= count)

    def wait_until(self, condition):
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, self.log
            time.sleep(0.02)

    @property
    def log(self):
        return (self.folder / "log").read_text()

    def send(self, number):
        self.process.send_signal(number)

    def stop(self):
        self.send(signal.SIGTERM)
        return self.process.wait(PATIENCE)


@pytest.fixture
def new_parent(tmp_path):
    """A parent that is yet to be started."""
    parent = Parent(tmp_path)
    yield parent
    if parent.process.poll() is None:
        parent.process.kill()
        parent.process.wait()
    subprocess.run(["pkill", "-KILL", "-f", str(tmp_path / "child.py")], check=False)


@pytest.fixture
def parent(new_parent):
    new_parent.start()
    new_parent.wait_for("ready", 2)
    return new_parent


def test_a_stop_ends_the_children_and_then_the_parent(parent):
    status = parent.stop()

    assert status == 0
    assert sorted(parent.told("ended")) == sorted(parent.told("ready"))


def test_children_that_are_still_starting_may_be_stopped(new_parent):
    new_parent.behave("helpless")
    new_parent.start()
    new_parent.wait_for("helpless", 2)

    assert new_parent.stop() == 0


def test_a_dead_child_is_replaced(parent):
    victim = parent.told("ready")[0]
    subprocess.run(["kill", "-KILL", str(victim)], check=True)

    parent.wait_for("ready", 3)

    assert f"Worker process {victim} has ended with status -9 and is replaced" in parent.log
    assert parent.stop() == 0


def test_a_hangup_replaces_the_children_one_by_one_the_new_one_up_first(parent):
    first = parent.told("ready")

    parent.send(signal.SIGHUP)
    parent.wait_until(lambda: parent.log.count("has taken over") == 2)

    events = (parent.folder / "told").read_text().split()[::2]
    assert events[4:] == ["started", "ready", "ended"] * 2
    assert sorted(parent.told("ended")) == sorted(first)
    assert parent.stop() == 0


def test_code_that_does_not_start_replaces_nothing(parent):
    parent.behave("broken")
    parent.send(signal.SIGHUP)
    parent.wait_until(lambda: "does not start; the old ones go on" in parent.log)

    assert parent.told("ended") == []
    assert parent.stop() == 0


def test_a_process_that_does_not_reach_the_channel_layer_replaces_nothing(new_parent):
    new_parent.start(ready_timeout=3)
    new_parent.wait_for("ready", 2)
    new_parent.behave("waiting")
    new_parent.send(signal.SIGHUP)
    new_parent.wait_until(lambda: "does not reach the channel layer; the old ones go on" in new_parent.log)
    new_parent.wait_for("ended", 1)

    assert new_parent.told("ended") == new_parent.told("started")[2:]
    assert new_parent.stop() == 0


def test_processes_that_cannot_start_at_all_end_their_parent(new_parent):
    new_parent.behave("broken")
    new_parent.start()

    assert new_parent.process.wait(PATIENCE) == 1
    assert "has ended with status 3 before any was ready, as others would; all are stopped" in new_parent.log
    assert len(new_parent.told("started")) <= 2


def test_a_child_that_is_killed_before_any_is_ready_is_replaced(new_parent):
    new_parent.behave("waiting")
    new_parent.start()
    new_parent.wait_for("started", 2)
    victim = new_parent.told("started")[0]
    subprocess.run(["kill", "-KILL", str(victim)], check=True)

    new_parent.wait_for("started", 3)

    assert f"Worker process {victim} has ended with status -9 and is replaced" in new_parent.log
    assert new_parent.stop() == 0


def test_a_child_that_can_tell_nothing_any_more_is_waited_for_at_rest(new_parent):
    new_parent.start(ready_timeout=8)
    new_parent.wait_for("ready", 2)
    new_parent.behave("mute")
    new_parent.send(signal.SIGHUP)
    new_parent.wait_for("mute", 1)
    before = processor_seconds(new_parent.process.pid)
    new_parent.wait_until(lambda: "does not reach the channel layer; the old ones go on" in new_parent.log)

    assert processor_seconds(new_parent.process.pid) - before < 0.3
    assert new_parent.stop() == 0


def processor_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_child_whose_parent_has_died_goes_on(monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    monkeypatch.setenv(READY_VARIABLE, str(writer))

    tell_ready()

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(writer)


def test_processes_that_are_not_ready_yet_are_waited_for(new_parent):
    new_parent.behave("waiting")
    new_parent.start(ready_timeout=0.1)
    new_parent.wait_for("started", 2)
    time.sleep(0.5)

    assert new_parent.process.poll() is None
    assert new_parent.stop() == 0


def test_a_process_that_fails_later_is_started_again_and_again(parent):
    parent.behave("broken")
    for victim in parent.told("ready"):
        subprocess.run(["kill", "-KILL", str(victim)], check=True)

    parent.wait_for("started", 6)

    assert parent.process.poll() is None


def test_a_second_stop_kills_the_children(parent):
    parent.behave("deaf")
    parent.send(signal.SIGHUP)
    parent.wait_until(lambda: parent.log.count("has taken over") == 2)
    parent.wait_for("deaf", 2)

    parent.send(signal.SIGTERM)
    time.sleep(0.2)
    running = parent.process.poll() is None
    status = parent.stop()

    assert running
    assert status == 1


def test_a_child_is_started_by_the_command_line_of_its_parent(monkeypatch):
    monkeypatch.setattr(sys, "orig_argv", ["python", "-W", "error", "manage.py", "runworker", "--processes", "4"])

    assert child_command() == [
        sys.executable, "-W", "error", "manage.py", "runworker", "--processes", "4", "--processes", "1"
    ]  # fmt: skip
