"""Running rows: what is shared, what comes last, and what happens when one of them breaks."""

import time

from score import run as running
from score.run import LAST, run
from score.table import Limit, Row

LOST = (Limit("lost", "==", 0),)


def rows(**measures):
    return [Row(id, id, "0", measure, LOST, "{lost} lost") for id, measure in measures.items()]


def run_all(given, functions, chosen=None):
    told = []
    outcomes = run(given, chosen or [row.id for row in given], None, told.append, functions.get)
    return outcomes, told


def test_rows_that_are_not_chosen_or_not_built_are_not_run():
    outcomes, _ = run_all(rows(A="a.a", B="b.b", C=""), {"a.a": lambda session: {"lost": 0}}, ["A", "C"])

    assert [outcome.verdict for outcome in outcomes] == ["pass", "not run", "not run"]


def test_rows_with_the_same_measure_share_one_run():
    calls = []

    def measure(session):
        calls.append(session)
        return {"lost": 0}

    outcomes, _ = run_all(rows(A="a.a", B="a.a"), {"a.a": measure})

    assert len(calls) == 1
    assert [outcome.verdict for outcome in outcomes] == ["pass", "pass"]
    assert outcomes[1].seconds is None


def test_what_adds_up_the_other_rows_comes_after_them():
    order = []
    functions = {name: lambda session, name=name: order.append(name) or {"lost": 0} for name in ("a.a", LAST, "b.b")}

    outcomes, _ = run_all(rows(A="a.a", B=LAST, C="b.b"), functions)

    assert order == ["a.a", "b.b", LAST]
    assert [outcome.row.id for outcome in outcomes] == ["A", "B", "C"]


def test_a_row_that_breaks_fails_and_the_next_one_is_run():
    def broken(session):
        raise OSError("no route\nand a long log")

    outcomes, told = run_all(rows(A="a.a", B="b.b"), {"a.a": broken, "b.b": lambda session: {"lost": 0}})

    assert [(outcome.verdict, outcome.result) for outcome in outcomes] == [
        ("fail", "OSError: no route"),
        ("pass", "0 lost"),
    ]
    assert told == ["A: A", "  A fail: OSError: no route", "B: B", "  B pass: 0 lost"]


def test_a_row_that_does_not_end_fails(monkeypatch):
    monkeypatch.setattr(running, "LONGEST", 0.05)

    outcomes, _ = run_all(rows(A="a.a"), {"a.a": lambda session: time.sleep(5)})

    assert outcomes[0].result == "RowTookTooLong: after 0.05 s"


def test_a_row_that_found_nothing_to_measure_was_not_run():
    outcomes, _ = run_all(rows(A="a.a"), {"a.a": lambda session: None})

    assert outcomes[0].verdict == "not run"
