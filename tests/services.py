"""Programs the tests need besides Python. Here a missing one skips; with CI set, it fails."""

import contextlib
import os
import socket

import pytest

from benchmarks import postgresql
from benchmarks.environments import MissingProgram


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
    try:
        postgresql.program("postgres")
    except MissingProgram as error:
        missing(str(error))
    port = free_port()
    with postgresql.serving(port, "fsync=off"):
        yield f"postgres://{postgresql.USER}@127.0.0.1:{port}/{postgresql.DATABASE}"
