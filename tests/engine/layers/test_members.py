"""What the reader of a process queue keeps: its members, and what it makes of the entries."""

import pytest

from channels.layers.base import Entry
from channels.layers.members import GroupMembers, QueueReader

from .fake_clock import FakeClock

# The members of groups


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


# The reader


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def reader(clock):
    return QueueReader("reply.x!", group_expiry=100, clock=clock, expiry=10)


def joins(local, group="room"):
    return Entry(local=local, group=group, joins=True)


def leaves(local, group="room"):
    return Entry(local=local, group=group, joins=False)


def to_group(content, group="room"):
    return Entry(group=group, content=content)


def taken(reader):
    return list(iter(reader.take, None))


def test_a_direct_message_is_for_the_channel_with_its_local_part(reader):
    reader.feed([Entry(local="1", content={"number": 1}), Entry(local="2", content={"number": 2})])

    assert taken(reader) == [("reply.x!1", {"number": 1}), ("reply.x!2", {"number": 2})]


def test_a_group_message_is_for_those_who_have_joined_before_it(reader):
    reader.feed(
        [to_group({"number": 1}), joins("1"), joins("2"), joins("3", "hall"), to_group({"number": 2}), joins("4")]
    )

    assert taken(reader) == [("reply.x!1", {"number": 2}), ("reply.x!2", {"number": 2})]


def test_who_has_left_before_a_group_message_misses_it(reader):
    reader.feed([joins("1"), joins("2"), to_group({"number": 1}), leaves("1"), to_group({"number": 2})])

    assert taken(reader) == [("reply.x!1", {"number": 1}), ("reply.x!2", {"number": 1}), ("reply.x!2", {"number": 2})]


def test_the_members_of_a_group_do_not_share_a_message(reader):
    reader.feed([joins("1"), joins("2"), to_group({"list": []})])

    (_, first), (_, second) = taken(reader)
    first["list"].append(1)

    assert second == {"list": []}


def test_a_message_larger_than_usual_reaches_the_members_too(reader):
    reader.feed([joins("1"), to_group({"body": bytes(2**22)})])

    assert taken(reader) == [("reply.x!1", {"body": bytes(2**22)})]


def test_a_membership_lapses_when_it_has_not_been_renewed(reader, clock):
    reader.feed([joins("1"), joins("2")])
    clock.advance(60)
    reader.feed([joins("2")])
    clock.advance(40)
    reader.feed([to_group({})])

    assert taken(reader) == [("reply.x!2", {})]


def test_a_lapsed_membership_can_begin_again(reader, clock):
    reader.feed([joins("1")])
    clock.advance(100)
    reader.feed([to_group({"number": 1}), joins("1"), to_group({"number": 2})])

    assert taken(reader) == [("reply.x!1", {"number": 2})]


def test_what_counts_is_when_an_entry_was_sent_not_when_it_is_read(reader, clock):
    start = clock()
    clock.advance(105)

    reader.feed([joins("early")], sent=start)
    reader.feed([joins("late")], sent=start + 50)
    reader.feed([to_group({"number": 1})], sent=start + 99)
    reader.feed([to_group({"number": 2})], sent=start + 100)

    assert taken(reader) == [
        ("reply.x!early", {"number": 1}),
        ("reply.x!late", {"number": 1}),
        ("reply.x!late", {"number": 2}),
    ]


def test_what_is_not_taken_expires(reader, clock):
    reader.feed([joins("1"), joins("2"), to_group({"number": 1})])
    first = reader.take()
    clock.advance(9.75)
    reader.feed([Entry(local="1", content={"number": 2})])
    clock.advance(0.25)

    assert first == ("reply.x!1", {"number": 1})
    assert taken(reader) == [("reply.x!1", {"number": 2})]
