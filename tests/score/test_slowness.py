"""How a flood has ended."""

import pytest

from score.slowness import end_of_flood


@pytest.mark.parametrize(
    ("code", "refused", "handled_since", "end"),
    [
        ("open", True, 10, "throttled"),
        ("open", True, 0, "stuck"),
        ("open", False, 10, "taken"),
        (1013, True, 0, 1013),
        (None, True, 10, None),
    ],
)
def test_a_flood_is_throttled_only_while_its_consumer_goes_on(code, refused, handled_since, end):
    assert end_of_flood(code, refused, handled_since) == end
