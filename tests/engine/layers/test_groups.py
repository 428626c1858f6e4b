"""The groups of a layer that keeps them itself: members by process queue, and when they lapse."""

import pytest

from channels.layers.groups import Groups


@pytest.fixture
def groups():
    return Groups()


def test_a_group_has_the_channels_that_joined_and_their_queues(groups):
    for channel in ["jobs", "reply.x!1", "reply.x!2", "reply.y!1", "parts?a1"]:
        groups.add("room", channel, lapses=10)

    assert groups.channels("room", now=0) == ["jobs", "reply.x!1", "reply.x!2", "reply.y!1", "parts?a1"]
    assert groups.queues("room", now=0) == ["jobs", "reply.x!", "reply.y!", "parts?a1"]


def test_a_group_that_nobody_joined_is_empty(groups):
    assert groups.channels("room", now=0) == []
    assert groups.queues("room", now=0) == []


def test_a_membership_ends_at_the_very_second_it_lapses(groups):
    groups.add("room", "jobs", lapses=10)

    assert groups.channels("room", now=9.75) == ["jobs"]
    assert groups.channels("room", now=10) == []
    assert groups.queues("room", now=10) == []


def test_joining_again_renews_a_membership(groups):
    groups.add("room", "reply.x!1", lapses=10)
    groups.add("room", "reply.x!2", lapses=12)
    groups.add("room", "reply.x!1", lapses=20)

    assert groups.channels("room", now=15) == ["reply.x!1"]
    assert groups.queues("room", now=15) == ["reply.x!"]


def test_a_queue_stays_as_long_as_any_of_its_members(groups):
    groups.add("room", "reply.x!1", lapses=10)
    groups.add("room", "reply.x!2", lapses=20)

    groups.discard("room", "reply.x!2")

    assert groups.queues("room", now=5) == ["reply.x!"]
    # The one that would have stayed longer has left: it is not to be counted on.
    assert groups.queues("room", now=15) == []


def test_leaving_concerns_one_channel_in_one_group(groups):
    for group in ["room", "hall"]:
        for channel in ["reply.x!1", "reply.x!2"]:
            groups.add(group, channel, lapses=10)

    groups.discard("room", "reply.x!1")

    assert groups.channels("room", now=0) == ["reply.x!2"]
    assert groups.channels("hall", now=0) == ["reply.x!1", "reply.x!2"]


@pytest.mark.parametrize(("group", "channel"), [("room", "reply.x!2"), ("room", "jobs"), ("hall", "reply.x!1")])
def test_who_is_no_member_can_leave(groups, group, channel):
    groups.add("room", "reply.x!1", lapses=10)

    groups.discard(group, channel)

    assert groups.channels("room", now=0) == ["reply.x!1"]


def test_a_queue_leaves_all_its_groups_at_once(groups):
    for group in ["room", "hall"]:
        for channel in ["reply.x!1", "reply.x!2", "reply.y!1"]:
            groups.add(group, channel, lapses=10)
    groups.add("own", "reply.x!1", lapses=10)

    groups.discard_queue("reply.x!")

    assert [groups.channels(group, now=0) for group in ["room", "hall", "own"]] == [["reply.y!1"], ["reply.y!1"], []]


@pytest.mark.parametrize(
    "empty",
    [
        lambda groups: groups.discard("room", "reply.x!1"),
        lambda groups: groups.discard_queue("reply.x!"),
        lambda groups: groups.queues("room", now=10),
        lambda groups: groups.channels("room", now=10),
        lambda groups: groups.sweep("room", now=10),
    ],
    ids=["discard", "discard_queue", "queues", "channels", "sweep"],
)
def test_an_empty_group_takes_no_memory(groups, empty):
    groups.add("room", "reply.x!1", lapses=10)

    empty(groups)

    assert groups._groups == {}


def test_lapsed_memberships_take_no_memory_beside_living_ones(groups):
    for number in range(100):
        groups.add("room", f"reply.x!{number}", lapses=number)

    groups.sweep("room", now=98)

    assert groups._groups == {"room": {"reply.x!": {"reply.x!99": 99}}}
