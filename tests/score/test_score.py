"""The command, with one cheap row measured for real."""

import json
import subprocess
import sys

import pytest

from score import __main__ as command
from score.rows import ROWS
from score.table import Outcome

from ..baking import REPOSITORY


def run(*arguments):
    command = [sys.executable, "-m", "score", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300)


def test_the_command_measures_a_row_and_writes_table_and_json(tmp_path):
    done = run("--rows", "S-02,S-06", "--quick", "--seed", "7", "--json", str(tmp_path / "new" / "score.json"))

    written = json.loads((tmp_path / "new" / "score.json").read_text())
    verdicts = {row["id"]: row["verdict"] for row in written["rows"]}
    assert done.returncode == 0, done.stdout + done.stderr
    assert (written["seed"], written["quick"]) == (7, True)
    assert {"template", "Python", "Django", "daphne", "autobahn", "websockets", "redis-py", "Valkey"} <= written[
        "versions"
    ].keys()
    assert {id for id, verdict in verdicts.items() if verdict == "pass"} == {"S-02", "S-06"}
    assert {id for id, verdict in verdicts.items() if verdict == "not run"} == verdicts.keys() - {"S-02", "S-06"}
    assert "seed 7" in done.stdout
    assert f"2 pass, 0 fail, {len(verdicts) - 2} not run" in done.stdout


def test_rows_that_do_not_exist_are_refused():
    refused = run("--rows", "S-01,S-77")

    assert refused.returncode == 2
    assert "there is no row S-77; S-01 to S-37 are known" in refused.stderr


@pytest.mark.parametrize(("lost", "status"), [(0, 0), (1, 1)])
def test_the_command_fails_when_a_row_that_was_run_has_failed(tmp_path, monkeypatch, capsys, lost, status):
    row = ROWS[1]
    monkeypatch.setattr(
        command, "run", lambda *_: [Outcome(row, {"lost": lost, "sent": 5, "wanted": 5}, seconds=1), Outcome(ROWS[8])]
    )

    assert command.main(["--json", str(tmp_path / "score.json")]) == status
    assert f"{lost} of 5" in capsys.readouterr().out
