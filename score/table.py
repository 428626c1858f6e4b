"""
Say what a run of the scorecard has shown: verdicts, the table, the JSON.

Nothing here measures: figures come in, text goes out.
"""

import json
import operator
from dataclasses import dataclass

PASS, FAIL, NOT_RUN = "pass", "fail", "not run"
_RELATIONS = {
    "==": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">=": operator.ge,
    "in": lambda value, bound: value in bound,
}
_WHAT_WIDTH, _RESULT_WIDTH, _TARGET_WIDTH = 44, 58, 32


@dataclass(frozen=True)
class Limit:
    """What one figure has to be. ``bound`` is a number, the name of another figure, or a tuple of what is allowed."""

    figure: str
    relation: str
    bound: float | str | tuple

    def holds(self, figures):
        """Say whether the figures keep the limit; one that is missing does not."""
        value = figures.get(self.figure)
        bound = figures.get(self.bound) if isinstance(self.bound, str) else self.bound
        return value is not None and bound is not None and _RELATIONS[self.relation](value, bound)


@dataclass(frozen=True)
class Row:
    """
    One line of the scorecard.

    ``measure`` names the function that measures it, empty while there is none; rows with the same one share a run.
    ``result`` is a format string over the figures.
    """

    id: str
    what: str
    target: str
    measure: str = ""
    limits: tuple[Limit, ...] = ()
    result: str = ""


@dataclass(frozen=True)
class Outcome:
    """What came of one row: figures, or the ``error`` that prevented them, or neither, if it was not run."""

    row: Row
    figures: dict | None = None
    error: str = ""
    # None where the row has shared the run of another one.
    seconds: float | None = None

    @property
    def verdict(self):
        """Judge the row: it passes only if all its limits hold."""
        if self.error:
            return FAIL
        if self.figures is None:
            return NOT_RUN
        return PASS if self.row.limits and all(limit.holds(self.figures) for limit in self.row.limits) else FAIL

    @property
    def result(self):
        """Put the figures into words."""
        if self.error:
            return self.error
        return self.row.result.format_map(self.figures) if self.figures is not None else ""


@dataclass(frozen=True)
class Report:
    """All outcomes of a run, and what they depend on."""

    outcomes: list[Outcome]
    seed: int
    quick: bool
    versions: dict[str, str]
    seconds: float = 0.0
    # How many other processes kept the machine busy meanwhile.
    busy: int = 0
    layer: str = "redis"

    @property
    def failed(self):
        """Return the rows that were run and have failed."""
        return [outcome.row.id for outcome in self.outcomes if outcome.verdict == FAIL]


def as_text(report):
    """Return the table for a terminal."""
    size = "quick: smaller counts than the targets are meant for" if report.quick else "full size"
    size += f", beside {report.busy} busy loops" if report.busy else ""
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    lines = [f"Reliability scorecard ({size}) over {report.layer}, seed {report.seed}", versions, ""]
    lines.append(_line("row", "what", "target", "result", "verdict", "seconds"))
    lines.append(_line("----", "-" * _WHAT_WIDTH, "-" * _TARGET_WIDTH, "-" * _RESULT_WIDTH, "-------", "-------"))
    lines += [line for outcome in report.outcomes for line in _lines(outcome)]
    return "\n".join([*lines, "", summary(report)])


def summary(report):
    """Return the last line of the table: how many rows passed, failed, and were not run."""
    verdicts = [outcome.verdict for outcome in report.outcomes]
    counts = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in (PASS, FAIL, NOT_RUN))
    failed = f" (failed: {', '.join(report.failed)})" if report.failed else ""
    return f"{counts}{failed}, {report.seconds:.0f} s"


def as_json(report):
    """Return the report for a machine, so that two releases can be compared."""
    rows = [
        {
            "id": outcome.row.id,
            "what": outcome.row.what,
            "target": outcome.row.target,
            "result": outcome.result,
            "verdict": outcome.verdict,
            "seconds": outcome.seconds,
            "figures": outcome.figures,
            "error": outcome.error,
        }
        for outcome in report.outcomes
    ]
    head = {
        "seed": report.seed,
        "quick": report.quick,
        "busy": report.busy,
        "layer": report.layer,
        "versions": report.versions,
        "seconds": report.seconds,
    }
    return json.dumps({**head, "rows": rows}, indent=2) + "\n"


def _lines(outcome):
    row = outcome.row
    seconds = "" if outcome.seconds is None else f"{outcome.seconds:.0f}"
    columns = [
        [row.id],
        _wrap(row.what, _WHAT_WIDTH),
        _wrap(row.target, _TARGET_WIDTH),
        _wrap(outcome.result, _RESULT_WIDTH),
        [outcome.verdict],
        [seconds],
    ]
    height = max(map(len, columns))
    return [_line(*(column[n] if n < len(column) else "" for column in columns)) for n in range(height)]


def _wrap(text, width):
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".lstrip()[:width]
    return lines


def _line(row, what, target, result, verdict, seconds):
    text = (
        f"{row:4}  {what:{_WHAT_WIDTH}}  {target:{_TARGET_WIDTH}}  {result:{_RESULT_WIDTH}}  {verdict:7}  {seconds:>7}"
    )
    return text.rstrip()
