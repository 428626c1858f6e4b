"""No figure is invented: each is that of the last run."""

import re

import pytest

from channels.layers.inmemory import InMemoryChannelLayer

from ..baking import REPOSITORY
from .pages import program, table_rows

RESULTS = "benchmarks/results/README.md"


@pytest.mark.parametrize("row", table_rows("docs/scaling.md", "Figures"), ids=lambda row: row[0])
def test_a_figure_is_that_of_the_last_run(row):
    heading, figure, *figures = row
    results = (REPOSITORY / RESULTS).read_text("utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    [columns] = [line.split(" | ") for line in re.findall(r"^\| (stack .+) \|$", results, re.MULTILINE)]

    measured = {cells[0].strip("`"): cells[columns.index(figure)] for cells in table_rows(RESULTS, heading)}
    assert figures == [measured["ours-1w-daphne"], measured["ours-1w-uvicorn"]]


def test_who_waits_is_seen(make_site):
    now = [0.0]
    site = make_site(layer=InMemoryChannelLayer(clock=lambda: now[0]))
    is_behind = program("docs/scaling.md", "is_behind").is_behind
    before = is_behind()
    site.layer.send("http.request", {})
    now[0] = 2.0

    assert (before, is_behind()) == (False, True)
