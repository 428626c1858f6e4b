"""Which names are legal, and how they come apart."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.exceptions import InvalidName
from channels.values.names import (
    MAX_LENGTH,
    local_part,
    prefix_of,
    queue_of,
    require_channel_name,
    require_group_name,
    require_pattern,
    require_readable_name,
)

LETTERS = string.ascii_letters + string.digits + "-_."
CHECKS = [require_channel_name, require_readable_name, require_group_name, require_pattern]


def is_accepted(check, name):
    try:
        return check(name) == name
    except InvalidName:
        return False


@pytest.mark.parametrize(
    ("name", "sent_to", "received_from", "group", "pattern"),
    [
        # name              channel  readable  group  pattern
        ("http.request", True, True, True, False),
        ("body?", False, False, False, True),
        ("body?Xk2", True, True, False, False),
        ("reply!", False, False, False, False),
        ("reply!Xk2", True, False, False, False),
        ("", False, False, False, False),
        ("?", False, False, False, False),
        ("!", False, False, False, False),
        ("?Xk2", False, False, False, False),
        ("!Xk2", False, False, False, False),
        ("a?b?", False, False, False, False),
        ("a!b!", False, False, False, False),
        ("a!b?", False, False, False, False),
        ("a?b!", False, False, False, False),
        ("a?b!c", False, False, False, False),
        ("line\n", False, False, False, False),
        ("body?\n", False, False, False, False),
        ("reply!\n", False, False, False, False),
    ],
)
def test_the_mark_in_a_name_says_what_it_is_good_for(name, sent_to, received_from, group, pattern):
    accepted = [is_accepted(check, name) for check in CHECKS]

    assert accepted == [sent_to, received_from, group, pattern]


def test_of_all_characters_only_ascii_letters_digits_and_three_marks_are_legal():
    legal = {chr(number) for number in range(0x11000) if is_accepted(require_group_name, chr(number))}

    assert legal == set(LETTERS)
    assert is_accepted(require_channel_name, f"{LETTERS}?{LETTERS}")
    assert is_accepted(require_channel_name, f"{LETTERS}!{LETTERS}")
    assert is_accepted(require_readable_name, f"{LETTERS}?{LETTERS}")


@pytest.mark.parametrize("check", [require_channel_name, require_readable_name, require_group_name])
def test_a_name_is_shorter_than_200_characters(check):
    assert MAX_LENGTH == 199
    assert is_accepted(check, "n")
    assert is_accepted(check, "n" * 199)
    assert not is_accepted(check, "n" * 200)


@pytest.mark.parametrize(("start", "end"), [("n", "?n"), ("n?", "n"), ("n", "!n"), ("n!", "n")])
def test_the_mark_and_what_follows_count_for_the_length(start, end):
    filled = "n" * (199 - len(start) - len(end))

    assert is_accepted(require_channel_name, start + filled + end)
    assert not is_accepted(require_channel_name, start + filled + "n" + end)


def test_a_pattern_leaves_room_for_its_random_end():
    assert is_accepted(require_pattern, "n" * 98 + "?")
    assert not is_accepted(require_pattern, "n" * 99 + "?")


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", [None, 1, b"name", ["name"], object()])
def test_a_name_that_is_no_text_is_a_type_error(check, name):
    with pytest.raises(TypeError, match=f"is text, not {type(name).__name__}"):
        check(name)


def test_an_error_shows_the_name_and_says_what_is_legal():
    with pytest.raises(InvalidName) as raised:
        require_group_name("room one")

    assert str(raised.value) == (
        "'room one' is no valid group name: use fewer than 200 ASCII letters, digits, hyphens, underscores and full "
        "stops, and neither ! nor ?."
    )


def test_an_error_does_not_repeat_a_name_of_any_length():
    with pytest.raises(InvalidName) as raised:
        require_channel_name("n" * 1_000_000)

    assert len(str(raised.value)) < 500


@pytest.mark.parametrize(
    ("channel", "queue", "local", "prefix"),
    [
        ("http.request", "http.request", "", "http.request"),
        ("body?Xk2", "body?Xk2", "", "body?"),
        ("reply.8f3!Xk2", "reply.8f3!", "Xk2", "reply.8f3!"),
        ("reply.8f3!", "reply.8f3!", "", "reply.8f3!"),
    ],
)
def test_a_channel_name_comes_apart(channel, queue, local, prefix):
    assert (queue_of(channel), local_part(channel), prefix_of(channel)) == (queue, local, prefix)


# Whatever the name

plain = st.text(LETTERS, max_size=5)
# Parts of names and marks in any order, and some that are too long by little.
anything = st.lists(plain | st.sampled_from("!?") | st.text(max_size=3), max_size=5).map("".join)
long = st.builds(
    lambda mark, size: "a" * 100 + mark + "b" * size, st.sampled_from(["", "!", "?"]), st.integers(90, 110)
)


def is_plain(text):
    return bool(text) and set(text) <= set(LETTERS)


@given(anything | long)
def test_each_check_takes_what_the_rule_says_and_nothing_else(name):
    parts = re.split("[!?]", name)
    is_channel = len(name) < 200 and len(parts) <= 2 and all(map(is_plain, parts))

    assert is_accepted(require_channel_name, name) == is_channel
    assert is_accepted(require_group_name, name) == (is_channel and len(parts) == 1)
    if "!" not in name:
        assert is_accepted(require_readable_name, name) == is_channel
    assert is_accepted(require_pattern, name) == (is_plain(name[:-1]) and name[-1:] == "?" and len(name) < 100)


@given(anything)
def test_what_is_refused_is_named(name):
    for check in CHECKS:
        try:
            check(name)
        except InvalidName as error:
            assert repr(name[:220])[1:-1] in str(error)


@given(st.builds("".join, st.tuples(plain, st.sampled_from(["", "!", "?"]), plain)))
def test_a_name_comes_apart_and_together_again(name):
    queue, local = queue_of(name), local_part(name)

    assert queue + local == name
    assert queue_of(queue) == queue
    assert prefix_of(name) == prefix_of(queue) == prefix_of(prefix_of(name))
    assert name.startswith(prefix_of(name))
