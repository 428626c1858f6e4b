"""A PostgreSQL server for the sites that are measured."""

import os
import signal
import subprocess
import sys

import psycopg
import pytest

from benchmarks import postgresql
from benchmarks.environments import MissingProgram
from benchmarks.stacks import all_stacks

from ..baking import REPOSITORY
from ..services import free_port, postgresql_server


def test_a_server_accepts_connections_as_long_as_it_is_wanted():
    with postgresql_server() as url:
        port = int(url.rpartition(":")[2].partition("/")[0])
        assert postgresql.accepts(port)

    assert not postgresql.accepts(port)


def test_the_command_serves_until_it_is_told_to_stop():
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.postgresql", str(port)]
    with subprocess.Popen(command, cwd=REPOSITORY) as server:
        while subprocess.run([*command, "--accepts"], cwd=REPOSITORY).returncode:
            assert server.poll() is None
        server.send_signal(signal.SIGTERM)

    assert server.returncode == 0
    assert not postgresql.accepts(port)


def test_a_visitor_is_logged_in_on_postgresql_too():
    stack = all_stacks()["ours-site-read-postgres-daphne"]
    [prepare] = [process for process in stack.processes if process.ends]
    with postgresql_server() as url:
        port = url.rpartition(":")[2].partition("/")[0]
        variables = {name: value.replace("{database_port}", port) for name, value in prepare.variables.items()}

        subprocess.run(
            [sys.executable, *prepare.command[1:]], cwd=prepare.folder, env=os.environ | variables, check=True
        )

        with psycopg.connect(url) as connection:
            [[key]] = connection.execute("select session_key from django_session").fetchall()
    assert stack.headers["Cookie"] == f"sessionid={key}"


def test_what_is_missing_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setenv("PATH", "")

    with pytest.raises(MissingProgram, match="apt-get install postgresql"):
        postgresql.program("a-program-of-another-one")
