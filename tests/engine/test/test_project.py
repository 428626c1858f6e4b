"""A project whose tests use the kit, run as its owners run them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import channels

HERE = Path(__file__).parent


@pytest.fixture
def run_tests(tmp_path):
    """Return a function that runs the tests of the project in a process of their own; it returns what they say."""
    shutil.copytree(HERE / "project", tmp_path / "project")

    def run_tests(start_method, *arguments):
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT") if name in os.environ}
        environment = kept | {"PYTHONPATH": str(Path(channels.__file__).parents[1]), "START_METHOD": start_method}
        done = subprocess.run(
            [sys.executable, "-W", "error::ResourceWarning", "manage.py", "test", *arguments],
            cwd=tmp_path / "project",
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    return run_tests


@pytest.mark.parametrize("start_method", ["fork", "spawn"])
def test_its_tests_pass_in_several_processes(run_tests, start_method):
    said = run_tests(start_method, "--parallel", "2")

    assert re.search(r"Ran 10 tests .*\n\nOK", said), said


def test_its_tests_pass_in_one_process_and_in_any_order(run_tests):
    said = run_tests("fork", "--shuffle")

    assert re.search(r"Ran 10 tests .*\n\nOK", said), said
