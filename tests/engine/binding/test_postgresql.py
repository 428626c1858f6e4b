"""All of this on PostgreSQL, which locks rows, and is stricter about what it takes."""

import subprocess
import sys
from pathlib import Path

from ...baking import REPOSITORY, clean_environment
from ...services import postgresql_server


def test_bindings_are_at_home_on_postgresql():
    here = Path(__file__).parent.relative_to(REPOSITORY)
    arguments = ["-q", "-p", "no:cacheprovider", "-n0", here / "test_websockets.py", here / "row_locks.py"]
    with postgresql_server() as url:
        environment = clean_environment() | {"DATABASE_URL": url}
        command = [sys.executable, "-m", "pytest", *arguments]
        done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout
    assert "skipped" not in done.stdout
