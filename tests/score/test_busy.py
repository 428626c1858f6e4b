"""Programs that keep the machine busy."""

import os

from score.busy import busy_loops

from ..deploy.conftest import children


def test_busy_loops_run_until_they_are_no_longer_wanted():
    before = children(os.getpid())
    with busy_loops(2):
        assert len(children(os.getpid())) == len(before) + 2

    assert children(os.getpid()) == before
