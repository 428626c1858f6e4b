import sys
from pathlib import Path

import pytest

from benchmarks import processes
from benchmarks.processes import RunningStack, StackError
from benchmarks.stacks import Process, Stack


@pytest.fixture(autouse=True)
def logs(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "LOGS", tmp_path)
    return tmp_path


def python(role, *arguments, **more):
    return Process(role, (sys.executable, *arguments), **more)


def test_a_server_starts_when_what_prepares_it_has_ended(logs):
    slowly = "import pathlib, sys, time; time.sleep(0.3); pathlib.Path(sys.argv[1]).write_text('Hello, world!')"
    stack = Stack(
        "prepared",
        "",
        [],
        [
            python("prepare", "-c", slowly, "{folder}/hello", ends=True),
            python("server", "-m", "http.server", "{port}", "--bind", "127.0.0.1", folder=logs / "prepared"),
        ],
    )

    with RunningStack(stack) as running:
        assert list(running.roles()) == ["server"]
        assert Path(running.folder, "hello").is_file()


def test_the_next_process_starts_when_the_one_before_is_ready(logs):
    slowly = "import pathlib, sys, time; time.sleep(0.3); pathlib.Path(sys.argv[1]).touch(); time.sleep(60)"
    looks = (sys.executable, "-c", "import pathlib, sys; sys.exit(not pathlib.Path(sys.argv[1]).exists())")
    stack = Stack(
        "ready",
        "",
        [],
        [
            python("database", "-c", slowly, "{folder}/ready", ready=[*looks, "{folder}/ready"]),
            python("seen", *looks[1:], "{folder}/ready", ends=True),
            python("server", "-m", "http.server", "{port}", "--bind", "127.0.0.1", folder=logs / "ready"),
        ],
        hello="",
    )

    with RunningStack(stack) as running:
        assert list(running.roles()) == ["database", "server"]


def test_a_preparation_that_fails_is_told_with_its_output():
    failing = python("prepare", "-c", "raise SystemExit('no such table')", ends=True)

    stack = Stack("failing", "", [], [failing])

    with pytest.raises(StackError, match="prepare ended with 1: no such table"), RunningStack(stack):
        pass
