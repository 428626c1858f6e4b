"""Which messages of one socket are under way: the rules, as plain values."""

import pytest

from channels.interface.lane import Lane


def lane_with(*numbers, width=1):
    """Return a lane whose messages of these numbers have been in their channel since second 100."""
    lane = Lane(width)
    for number in numbers:
        lane.begin(number, "websocket.receive")
        lane.arrive(number, 100.0)
    return lane


@pytest.mark.parametrize(
    ("width", "numbers", "has_room"),
    [(1, [], True), (1, [1], False), (2, [1], True), (2, [1, 2], False), (3, [4, 5], True)],
)
def test_as_many_messages_may_be_under_way_as_the_lane_is_wide(width, numbers, has_room):
    lane = lane_with(*numbers, width=width)

    assert (lane.has_room, lane.is_empty) == (has_room, not numbers)


def test_a_message_is_under_way_from_its_dispatch_to_its_finish():
    lane = Lane(1)

    lane.begin(7, "websocket.receive")
    before = lane.has_room, lane.is_empty, lane.has(7)
    channel = lane.finish(7)

    assert before == (False, False, True)
    assert (channel, lane.has_room, lane.is_empty, lane.has(7)) == ("websocket.receive", True, True, False)


@pytest.mark.parametrize("number", [7, 8, None])
def test_a_finish_that_comes_twice_or_late_finishes_nothing_else(number):
    lane = lane_with(7, 9, width=2)
    lane.finish(7)

    assert lane.finish(number) == ""
    assert (lane.has(9), lane.is_empty) == (True, False)


def test_what_is_finished_before_it_is_known_to_have_arrived_stays_finished():
    lane = Lane(1)
    lane.begin(7, "websocket.receive")
    lane.finish(7)

    lane.arrive(7, 100.0)

    assert lane.is_empty


def test_what_is_given_up_is_under_way_no_more():
    lane = lane_with(7, 8, width=2)

    lane.clear()

    assert (lane.is_empty, lane.finish(7)) == (True, "")


@pytest.mark.parametrize(
    ("now", "overdue"),
    [
        (100.0, []),
        (103.9, []),
        (104.0, [("websocket.receive", 7, 4.0), ("websocket.receive", 8, 4.0)]),
        (160.0, [("websocket.receive", 7, 60.0), ("websocket.receive", 8, 60.0)]),
    ],
)
def test_a_message_is_overdue_by_the_time_since_it_arrived(now, overdue):
    assert list(lane_with(7, 8, width=2).overdue(now, 4.0)) == overdue


def test_a_message_on_its_way_into_its_channel_is_never_overdue():
    lane = Lane(1)
    lane.begin(7, "websocket.receive")

    assert list(lane.overdue(1e9, 4.0)) == []


def test_the_time_of_a_message_that_was_put_back_begins_anew():
    lane = lane_with(7)

    lane.arrive(7, 150.0)

    assert list(lane.overdue(153.0, 4.0)) == []
    assert list(lane.overdue(154.0, 4.0)) == [("websocket.receive", 7, 4.0)]


def test_a_lane_that_keeps_order_is_one_message_wide():
    lane = lane_with(7, width=5)
    before = lane.keeps_order

    lane.keep_order()

    assert (before, lane.keeps_order, lane.has_room) == (False, True, False)


def test_a_lane_that_keeps_order_stays_so_whatever_it_is_allowed_later():
    lane = lane_with(width=1)
    lane.allow(3)
    allowed = lane.width
    lane.allow(None)

    lane.keep_order()
    lane.allow(5)

    assert (allowed, lane.width) == (3, 1)
