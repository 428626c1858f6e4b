"""`make demo`, in a clone: from nothing to a page, and on from there."""

import os
import re
import signal
import socket
import subprocess
import time

import pytest

from ..baking import FOLDER, REPOSITORY, copy_repository, read_env
from ..services import free_port, missing
from .serving import serve


@pytest.fixture
def clone(tmp_path):
    """A folder like a fresh clone's, with git, and with a cache that no project should get."""
    clone = copy_repository(tmp_path / "chan template")
    for command in (["init", "--quiet", "--initial-branch=main"], ["add", "."]):
        subprocess.run(["git", *command], cwd=clone, check=True)
    (clone / FOLDER / "db.sqlite3").write_text("a database left by somebody's trial")
    return clone


@pytest.fixture
def environment():
    """The environment as it is, with what pip or uv need in it, without the settings of these tests and their make."""
    example = (REPOSITORY / FOLDER / ".env.example").read_text("utf-8")
    make = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}
    settings = {"DJANGO_SETTINGS_MODULE", *make, *re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE)}
    return {name: value for name, value in os.environ.items() if name not in settings}


def test_make_demo_serves_the_chat_and_a_second_run_goes_on_with_it(clone, environment):
    port = free_port()
    command = f"make demo PORT={port}"

    with serve(command, clone, port, environment) as server:
        page = first_page(server)
        assert page.status == 200
        assert f"The chat is on http://127.0.0.1:{port}/" in server.log.read_text()
    site = clone / "build" / "demo" / "my_chat"
    key = read_env(site / ".env")["SECRET_KEY"]
    (site / "chat" / "mine.py").touch()

    with serve(command, clone, port, environment) as server:
        assert server.fetch("/").status == 200
        assert "-m venv" not in server.log.read_text()
    assert read_env(site / ".env")["SECRET_KEY"] == key
    assert (site / "chat" / "mine.py").is_file()
    assert (site / "db.sqlite3").read_bytes().startswith(b"SQLite format 3\0")

    subprocess.run(["make", "clean"], cwd=clone, check=True)
    assert not (clone / "build").exists()


@pytest.mark.parametrize("target", ["demo", "demo-redis"])
def test_make_demo_runs_the_procfile_and_its_worker_can_be_replaced(clone, environment, target):
    port = free_port()

    with serve(f"make {target} PORT={port}", clone, port, environment) as server:
        page = first_page(server)
        lines = started(server)
        os.kill(lines["worker"][0], signal.SIGTERM)
        while len(started(server)["worker"]) == 1:
            assert server.process.poll() is None, server.log.read_text()
            time.sleep(0.05)
        later = server.fetch("/")
        # What listens on every address of this machine has it as well.
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port))

    assert page.status == 200
    assert later.status == 200
    assert {name: len(pids) for name, pids in lines.items()} == {"web": 1, "worker": 1}


@pytest.mark.parametrize("target", ["demo", "demo-redis"])
def test_a_port_that_is_taken_is_told_at_once(clone, environment, target):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        refused = subprocess.run(
            ["make", target, f"PORT={port}"], cwd=clone, env=environment, capture_output=True, text=True
        )

    assert refused.returncode != 0
    assert refused.stdout == (
        f"Port {port} cannot be listened on: another program has it, or it is none. "
        "Name another one, for example: make demo PORT=9000\n"
    )
    assert not (clone / "build").exists()


def started(server):
    """Return the processes of each line of the Procfile that was started."""
    lines = re.findall(r"^(web|worker) \(process (\d+)\): (?:daphne|python) ", server.log.read_text(), re.MULTILINE)
    return {name: [int(pid) for other, pid in lines if other == name] for name, _ in lines}


def first_page(server):
    """Return the first page; where no package can be fetched, no demo can be made."""
    try:
        return server.fetch("/")
    except AssertionError as stopped:
        if re.search("Temporary failure in name resolution|Failed to establish|dns error", str(stopped)):
            missing("make demo fetches packages, and this machine reaches no package index.")
        raise
