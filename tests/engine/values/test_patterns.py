import pytest

from channels.values.patterns import filter_channels, idle_patterns


@pytest.mark.parametrize(
    ("only", "exclude", "left"),
    [
        (None, None, ["a.x", "a.y", "b.x"]),
        (["a.*"], None, ["a.x", "a.y"]),
        (["a.x", "b.*"], [], ["a.x", "b.x"]),
        (None, ["*.x"], ["a.y"]),
        (["a.*"], ["*.x"], ["a.y"]),
        (["c"], None, []),
    ],
)
def test_channels_are_chosen_by_patterns(only, exclude, left):
    assert filter_channels({"b.x", "a.y", "a.x"}, only, exclude) == left


def test_patterns_that_match_nothing_are_found():
    channels = ["http.request", "websocket.connect"]

    assert idle_patterns(channels, ["http.*", "htpp.*", "*.connect", "thumbnail"]) == ["htpp.*", "thumbnail"]
    assert idle_patterns(channels, None) == []
