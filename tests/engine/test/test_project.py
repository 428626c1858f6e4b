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
def run(tmp_path):
    """Return a function that runs a Python command in a copy of the project; it returns all that this says."""
    shutil.copytree(HERE / "project", tmp_path / "project")
    # Not there in the first place, since pytest takes such a line in its topmost conftest.py only.
    (tmp_path / "project" / "conftest.py").write_text('pytest_plugins = ["channels.test.fixtures"]\n')

    def run(*command, **environment):
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT") if name in os.environ}
        done = subprocess.run(
            [sys.executable, *command],
            cwd=tmp_path / "project",
            env=kept | {"PYTHONPATH": str(Path(channels.__file__).parents[1])} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    return run


@pytest.mark.parametrize("start_method", ["fork", "spawn"])
def test_its_tests_pass_in_several_processes(run, start_method):
    said = run("manage.py", "test", "--parallel", "2", START_METHOD=start_method)

    assert re.search(r"Ran 10 tests .*\n\nOK", said), said


def test_its_tests_pass_in_one_process_and_in_any_order(run):
    said = run("manage.py", "test", "--shuffle", START_METHOD="fork")

    assert re.search(r"Ran 10 tests .*\n\nOK", said), said


def test_the_fixtures_for_pytest_do_the_same(run):
    said = run("-m", "pytest", "-q", "-p", "no:cacheprovider", "shop/suite.py", DJANGO_SETTINGS_MODULE="shop.settings")

    assert " 7 passed" in f" {said.splitlines()[-1]}", said
