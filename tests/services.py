"""Programs the tests need besides Python. Here a missing one skips; with CI set, it fails."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg
import pytest


def missing(sentence):
    """End a test for want of a program; the sentence says what to install."""
    if os.environ.get("CI"):
        pytest.fail(sentence)
    pytest.skip(sentence)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def postgresql_server():
    """Run an empty PostgreSQL server on a port of its own, and yield the URL of its database."""
    programs = _postgresql_programs()
    # PostgreSQL refuses to run for root, so root's tests run it for the user its package made.
    owner = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory(prefix="postgresql-") as folder:
        if owner:
            shutil.chown(folder, "postgres", "postgres")
        data, port = f"{folder}/data", free_port()
        subprocess.run(
            [programs / "initdb", "--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "-D", data],
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
            **owner,
        )
        settings = ["listen_addresses=127.0.0.1", f"unix_socket_directories={folder}", "fsync=off"]
        options = [argument for setting in settings for argument in ("-c", setting)]
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, "-p", str(port), *options],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **owner,
        )
        try:
            url = f"postgres://postgres@127.0.0.1:{port}/postgres"
            _wait_until_it_answers(url, server)
            yield url
        finally:
            # A fast shutdown: a polite one waits for every client to leave.
            server.send_signal(signal.SIGINT)
            server.wait(30)


def _postgresql_programs():
    if found := shutil.which("initdb"):
        return Path(found).parent
    # Debian keeps the server's programs off the path, one folder for each version.
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not folders:
        missing("PostgreSQL is not installed: apt-get install postgresql")
    return folders[-1].parent


def _wait_until_it_answers(url, server):
    deadline = time.monotonic() + 30
    while True:
        try:
            return psycopg.connect(url).close()
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
