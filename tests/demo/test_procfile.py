"""`demo/procfile.py`: it says what has ended, and leaves nothing running."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from ..baking import REPOSITORY, clean_environment

PATIENCE = 30

# A line that notes its start and its end; the file "status" says which status it ends with at a polite stop.
LINE = """
import os, pathlib, signal, sys, time

def note(word):
    with open("notes", "a") as notes:
        notes.write(f"{word} {sys.argv[1]} {os.getpid()}\\n")

def end(*_):
    note("ended")
    os._exit(int(pathlib.Path("status").read_text()))

signal.signal(signal.SIGTERM, end)
note("started")
time.sleep(60)
"""


class Demo:
    """The script in a process group of its own, as a terminal starts it."""

    def __init__(self, folder, release="true"):
        self.folder, self._notes, self._log = folder, folder / "notes", folder / "log"
        self._notes.touch()
        self._status = folder / "status"
        self.end_with(status=0)
        (folder / "line.py").write_text(LINE)
        (folder / "Procfile").write_text(
            f"release: {release}\nweb: {sys.executable} line.py web\nworker: {sys.executable} line.py worker\n"
        )
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, REPOSITORY / "demo" / "procfile.py"],
                cwd=folder,
                env=clean_environment() | {"PORT": "8000"},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def end_with(self, status):
        """Have the lines end with this status at a polite stop."""
        self._status.write_text(str(status))

    def noted(self, word):
        """Return {name: process ids}, in the order of the notes."""
        notes = re.findall(rf"^{word} (\w+) (\d+)$", self._notes.read_text(), re.MULTILINE)
        return {name: [int(pid) for other, pid in notes if other == name] for name, _ in notes}

    @property
    def log(self):
        return self._log.read_text()

    def wait_until(self, condition):
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, self.log
            time.sleep(0.02)

    def wait_until_it_runs(self):
        self.wait_until(lambda: set(self.noted("started")) == {"web", "worker"} and "no window notices" in self.log)

    def children(self):
        """Return the processes that it has started, as {id: command}."""
        listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True)
        rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
        return {int(pid): command for pid, parent, command in rows if int(parent) == self.process.pid}

    def press_ctrl_c(self):
        os.killpg(self.process.pid, signal.SIGINT)


@pytest.fixture
def start(tmp_path):
    """Return a function that starts it; at the end, whatever it has started is killed."""
    started = []

    def start(**options):
        started.append(Demo(tmp_path, **options))
        return started[0]

    yield start
    for pid in [*started[0].children(), started[0].process.pid]:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
    started[0].process.wait()


def runs(pid):
    # A process that has ended and that nobody has asked for its status is still in the list.
    listed = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return listed.stdout.strip()[:1] not in ("", "Z")


def test_ctrl_c_ends_the_lines_in_their_order_and_the_store_last_without_a_word(start):
    demo = start()
    demo.wait_until_it_runs()
    children = demo.children()
    before = demo.log

    demo.press_ctrl_c()

    assert demo.process.wait(PATIENCE) == 0
    assert len(children) == 3
    assert list(demo.noted("ended")) == ["web", "worker"]
    assert not any(runs(pid) for pid in children)
    assert demo.log == before


def test_what_listens_to_everybody_on_a_host_listens_to_this_machine_alone_in_the_demo(start):
    demo = start(release="echo -b 0.0.0.0 >address")
    demo.wait_until_it_runs()

    assert (demo.folder / "address").read_text() == "-b 127.0.0.1\n"


def test_ctrl_c_ends_a_release_that_takes_long(start):
    demo = start(release="sleep 60")
    demo.wait_until(lambda: any("sleep 60" in command for command in demo.children().values()))

    demo.press_ctrl_c()

    assert demo.process.wait(PATIENCE) == 0
    assert demo.log == ""


@pytest.mark.parametrize("name", ["web", "worker"])
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGKILL, -9)])
def test_a_line_that_has_ended_well_or_was_killed_is_started_again(start, name, number, status):
    demo = start()
    demo.wait_until_it_runs()

    os.kill(demo.noted("started")[name][0], number)
    demo.wait_until(lambda: len(demo.noted("started")[name]) == 2)

    assert f"{name} has ended with status {status} and is started again." in demo.log
    assert demo.process.poll() is None


def test_a_line_that_fails_is_named_and_everything_is_stopped(start):
    demo = start()
    demo.wait_until_it_runs()
    children = demo.children()
    demo.end_with(status=3)

    os.kill(demo.noted("started")["web"][0], signal.SIGTERM)

    assert demo.process.wait(PATIENCE) == 1
    assert demo.log.endswith("\nweb has ended with status 3; everything is stopped.\n")
    assert not any(runs(pid) for pid in children)


def test_so_it_is_when_the_store_is_killed(start):
    demo = start()
    demo.wait_until_it_runs()
    children = demo.children()

    os.kill(next(pid for pid, command in children.items() if "valkey" in command), signal.SIGKILL)

    assert demo.process.wait(PATIENCE) == 1
    assert demo.log.endswith("\nredis has ended with status -9; everything is stopped.\n")
    assert set(demo.noted("ended")) == {"web", "worker"}
    assert not any(runs(pid) for pid in children)


def test_a_release_that_fails_starts_nothing(start):
    demo = start(release="exit 3")

    assert demo.process.wait(PATIENCE) == 1
    assert demo.log == "release has ended with status 3; everything is stopped.\n"
    assert demo.noted("started") == {}


@pytest.mark.skipif(sys.platform != "linux", reason="Only Linux tells a process of the end of its parent.")
def test_nothing_outlives_a_script_that_is_killed(start):
    demo = start()
    demo.wait_until_it_runs()
    children = demo.children()

    demo.process.kill()

    assert demo.process.wait(PATIENCE) == -signal.SIGKILL
    demo.wait_until(lambda: not any(runs(pid) for pid in children))
