"""No figure is invented: each is that of the last run."""

import pytest

from channels.layers.inmemory import InMemoryChannelLayer

from .pages import measured, program, table_rows


@pytest.mark.parametrize("row", table_rows("docs/scaling.md", "Figures"), ids=lambda row: row[0])
def test_a_figure_is_that_of_the_last_run(row):
    heading, figure, *figures = row

    assert figures == [measured(heading, figure, stack) for stack in ("ours-1w-daphne", "ours-1w-uvicorn")]


def test_who_waits_is_seen(make_site):
    now = [0.0]
    site = make_site(layer=InMemoryChannelLayer(clock=lambda: now[0]))
    is_behind = program("docs/scaling.md", "is_behind").is_behind
    before = is_behind()
    site.layer.send("http.request", {})
    now[0] = 2.0

    assert (before, is_behind()) == (False, True)
