"""What the reader of a process queue keeps: its members, and what it makes of the entries."""

import pytest

from channels.layers.members import GroupMembers


@pytest.fixture
def members():
    return GroupMembers()


def test_members_are_kept_in_the_order_in_which_they_joined(members):
    for local in ["b", "a", "c", "a"]:
        members.add("room", local)

    assert list(members.of("room")) == ["b", "a", "c"]
    assert list(members.of("hall")) == []


def test_a_member_leaves_one_group(members):
    for group in ["room", "hall"]:
        for local in ["a", "b"]:
            members.add(group, local)

    members.discard("room", "a")

    assert sorted(members) == [("hall", "a"), ("hall", "b"), ("room", "b")]


@pytest.mark.parametrize(("group", "local"), [("room", "b"), ("hall", "a"), ("hall", "b")])
def test_who_is_no_member_can_leave(members, group, local):
    members.add("room", "a")

    members.discard(group, local)

    assert list(members) == [("room", "a")]


def test_a_closed_channel_leaves_all_its_groups(members):
    for group in ["room", "hall", "yard"]:
        members.add(group, "a")
        members.add(group, "b")
    members.discard("yard", "a")

    assert members.discard_all("a") == ["hall", "room"]
    assert members.discard_all("a") == []
    assert sorted(members) == [("hall", "b"), ("room", "b"), ("yard", "b")]


def test_nothing_is_kept_of_members_that_have_left(members):
    for local in ["a", "b"]:
        members.add("room", local)

    members.discard("room", "a")
    members.discard_all("b")

    assert (members._members, members._groups) == ({}, {})
