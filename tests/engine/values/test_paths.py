import pytest

from channels.values.paths import behind


@pytest.mark.parametrize(
    ("path", "prefix", "rest"),
    [
        ("/app/page", "/app", "/page"),
        ("/app/", "/app", "/"),
        ("/app", "/app", ""),
        ("/app//page", "/app", "//page"),
        ("/app/app", "/app", "/app"),
        ("/a/b/c", "/a/b", "/c"),
        ("/page", "", "/page"),
        ("/application", "/app", None),
        ("/ap", "/app", None),
        ("/page/app/", "/app", None),
        ("//app/page", "/app", None),
        ("/APP/page", "/app", None),
        ("", "/app", None),
        ("*", "/app", None),
    ],
)
def test_what_is_behind_a_prefix_begins_with_a_whole_part(path, prefix, rest):
    assert behind(path, prefix) == rest
