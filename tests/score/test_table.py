"""Verdicts, the table and the JSON, from plain values."""

import json
from dataclasses import replace

import pytest

from score.table import FAIL, NOT_RUN, PASS, Limit, Outcome, Report, Row, as_json, as_text

ROW = Row("S-99", "Messages lost", "0", "somewhere.measured", (Limit("lost", "==", 0),), "{lost} of {sent}")


def report(*outcomes, quick=False):
    return Report(list(outcomes), 7, quick, {"Python": "3.11", "Valkey": "9.1"}, 12.0)


@pytest.mark.parametrize(
    ("limit", "value", "holds"),
    [
        (Limit("figure", "==", 0), 0, True),
        (Limit("figure", "==", 0), 1, False),
        (Limit("figure", "<", 2), 1.99, True),
        (Limit("figure", "<", 2), 2, False),
        (Limit("figure", "<=", 2), 2, True),
        (Limit("figure", "<=", 2), 2.01, False),
        (Limit("figure", ">=", 2), 2, True),
        (Limit("figure", ">=", 2), 1, False),
        (Limit("figure", "in", (1008, 1013)), 1013, True),
        (Limit("figure", "in", (1008, 1013)), 1006, False),
        (Limit("figure", "in", (1008, 1013)), None, False),
        (Limit("figure", "<=", "other"), 5, True),
        (Limit("figure", "<=", "other"), 6, False),
        (Limit("figure", "<=", "missing"), 0, False),
        (Limit("figure", "<", 2), None, False),
    ],
)
def test_a_limit_compares_a_figure_with_a_number_or_with_another_figure(limit, value, holds):
    assert limit.holds({"figure": value, "other": 5}) is holds


def test_a_limit_without_its_figure_does_not_hold():
    assert not Limit("figure", "==", 0).holds({})


def test_a_row_passes_when_all_its_limits_hold():
    row = Row("S-99", "", "", "x.y", (Limit("lost", "==", 0), Limit("seconds", "<", 2)))

    assert Outcome(row, {"lost": 0, "seconds": 1}).verdict == PASS
    assert Outcome(row, {"lost": 0, "seconds": 2}).verdict == FAIL
    assert Outcome(row, {"lost": 1, "seconds": 1}).verdict == FAIL


def test_a_row_that_was_not_run_never_passes():
    assert Outcome(ROW).verdict == NOT_RUN
    assert Outcome(ROW).result == ""


def test_a_row_that_broke_has_failed_and_says_why():
    outcome = Outcome(ROW, error="OSError: no route")

    assert (outcome.verdict, outcome.result) == (FAIL, "OSError: no route")


def test_a_row_without_limits_never_passes():
    assert Outcome(Row("S-99", "", "", "x.y"), {"lost": 0}).verdict == FAIL


def test_the_table_names_seed_versions_size_and_every_row():
    text = as_text(report(Outcome(ROW, {"lost": 0, "sent": 5}, seconds=3.4), Outcome(ROW)))

    lines = text.splitlines()
    assert lines[0] == "Reliability scorecard (full size) over redis, seed 7"
    assert lines[1] == "Python 3.11, Valkey 9.1"
    assert lines[5].split() == ["S-99", "Messages", "lost", "0", "0", "of", "5", "pass", "3"]
    assert lines[6].split() == ["S-99", "Messages", "lost", "0", "not", "run"]
    assert lines[-1] == "1 pass, 0 fail, 1 not run, 12 s"


def test_the_table_of_a_quick_run_says_so():
    assert "quick" in as_text(report(quick=True)).splitlines()[0]


def test_the_table_of_a_run_on_a_busy_machine_says_so():
    assert as_text(replace(report(), busy=2)).startswith(
        "Reliability scorecard (full size, beside 2 busy loops) over redis, seed 7"
    )


def test_the_table_ends_with_the_rows_that_failed():
    text = as_text(report(Outcome(ROW, {"lost": 3, "sent": 5}, seconds=1)))

    assert text.splitlines()[-1] == "0 pass, 1 fail, 0 not run (failed: S-99), 12 s"


def test_long_texts_go_on_in_the_next_line_of_their_column():
    long = Row("S-99", "A sentence about what is measured that is longer than its column", "0")

    lines = as_text(report(Outcome(long))).splitlines()[5:7]
    assert lines[0].startswith("S-99  A sentence about what is measured that is")
    assert lines[1].strip() == "longer than its column"


def test_the_json_holds_figures_and_verdicts():
    written = json.loads(as_json(report(Outcome(ROW, {"lost": 0, "sent": 5}, seconds=3.4), Outcome(ROW))))

    run, not_run = written.pop("rows")
    assert written == {
        "seed": 7,
        "quick": False,
        "busy": 0,
        "layer": "redis",
        "versions": {"Python": "3.11", "Valkey": "9.1"},
        "seconds": 12.0,
    }
    assert run == {
        "id": "S-99",
        "what": "Messages lost",
        "target": "0",
        "result": "0 of 5",
        "verdict": "pass",
        "seconds": 3.4,
        "figures": {"lost": 0, "sent": 5},
        "error": "",
    }
    assert (not_run["verdict"], not_run["figures"], not_run["seconds"]) == ("not run", None, None)
