"""Older versions of cookiecutter: the oldest that works does, and the ones before it are told so."""

import shutil
import subprocess
import sys

import pytest

from ..baking import clean_environment
from ..services import missing

NEEDED = "needs cookiecutter 2.2 or newer: python3 -m pip install --upgrade cookiecutter"


@pytest.fixture
def start(template, tmp_path):
    """Return a function that has a version of cookiecutter make a project, as somebody who accepts every answer."""

    def start(version, *arguments):
        python = tmp_path / "venv" / "bin" / "python"
        install(python, f"cookiecutter=={version}", "setuptools<81")
        return subprocess.run(
            [
                python,
                "-m",
                "cookiecutter",
                "--default-config",
                "-o",
                tmp_path,
                *arguments[:1],
                template,
                *arguments[1:],
            ],
            cwd=tmp_path,
            env=clean_environment() | {"HOME": str(tmp_path)},
            input="\n" * 40,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return start


def install(python, *packages):
    if uv := shutil.which("uv"):
        commands = [[uv, "venv", "--quiet", "--python", sys.executable, python.parents[1]]]
        commands += [[uv, "pip", "install", "--quiet", "--python", python, *packages]]
    else:
        commands = [[sys.executable, "-m", "venv", python.parents[1]]]
        commands += [[python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]]
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            missing(f"An older cookiecutter cannot be fetched: {done.stderr}")


def test_before_its_first_dict_of_prompts_debians_cookiecutter_is_told_which_one_is_needed(start):
    done = start("1.7.3")

    said = (done.stdout + done.stderr).splitlines()
    assert done.returncode == 1
    assert [NEEDED in line for line in said[:3]].count(True) == 1
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("version", ["1.7.3", "2.1.1"])
def test_so_it_is_when_all_answers_stand_on_the_command_line(start, tmp_path, version):
    done = start(version, "--no-input", "project_slug=my_chat")

    assert done.returncode == 1
    assert done.stderr.startswith(f"chan-template: This {NEEDED}\n")
    assert not (tmp_path / "my_chat").exists()


def test_the_oldest_version_makes_the_same_project(start, project, tmp_path):
    assert start("2.2.3").returncode == 0
    made, expected = (
        {path.relative_to(folder) for path in folder.rglob("*") if "__pycache__" not in path.parts}
        for folder in (tmp_path / "my_chat", project)
    )
    assert made == expected
    for path in (path for path in made if (project / path).is_file() and path.name != ".env"):
        assert (tmp_path / "my_chat" / path).read_bytes() == (project / path).read_bytes()
