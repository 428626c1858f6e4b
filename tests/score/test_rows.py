"""The rows: all there, each with what it needs."""

import pytest

from score.rows import ROWS
from score.run import find

BUILT = [row for row in ROWS if row.measure]


def test_the_rows_are_numbered_without_a_gap():
    assert [row.id for row in ROWS] == [f"S-{number:02}" for number in range(1, 38)]


@pytest.mark.parametrize("row", BUILT, ids=lambda row: row.id)
def test_a_row_that_is_built_has_its_function_its_limits_and_a_result(row):
    assert callable(find(row.measure))
    assert row.limits
    assert row.result


def test_a_row_that_is_not_built_promises_nothing():
    assert [row.id for row in ROWS if not row.measure and (row.limits or row.result)] == []
