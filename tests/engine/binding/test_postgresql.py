"""Bindings on PostgreSQL, which locks rows, and is stricter about what it takes."""

import subprocess
import sys
from pathlib import Path

from ...baking import REPOSITORY, clean_environment
from ...services import postgresql_server

# What depends on the database.
STRICT = [
    "test_websockets.py::test_a_socket_creates_changes_and_deletes",
    "test_websockets.py::test_what_only_the_database_refuses_is_answered",
    "test_websockets.py::test_what_others_protect_is_not_deleted",
    "test_websockets.py::test_keys_of_other_kinds_are_understood",
]


def test_bindings_are_at_home_on_postgresql():
    here = Path(__file__).parent.relative_to(REPOSITORY)
    arguments = ["-q", "-p", "no:cacheprovider", "-n0", here / "row_locks.py", *(here / name for name in STRICT)]
    with postgresql_server() as url:
        environment = clean_environment() | {"DATABASE_URL": url}
        command = [sys.executable, "-m", "pytest", *arguments]
        done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout
    assert "skipped" not in done.stdout
