"""`channels.layers.redis.counts`: what is counted here is saved now and then, and once."""

import pytest

from channels.layers.redis.counts import SAVE_INTERVAL, StoreCounts, figures

from ..fake_clock import FakeClock


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def counts(clock):
    return StoreCounts(clock)


def test_what_has_been_taken_is_not_given_again(counts):
    counts.count_received("jobs", 2)
    counts.count_sent(["jobs", "reply.x!1", "reply.x!2"])
    counts.count_gone("parts?a", "expired")

    assert counts.take() == {
        ("jobs", "done"): 2,
        ("jobs", "rate:sent"): 1,
        ("reply.x!", "sent"): 2,
        ("reply.x!", "rate:sent"): 2,
        ("parts?", "dropped:expired"): 1,
        ("parts?", "gone"): 1,
    }
    assert counts.take() == {}


def test_what_could_not_be_saved_is_kept(counts):
    counts.count_received("jobs")
    counts.give_back(counts.take())
    counts.count_received("jobs")

    assert counts.take() == {("jobs", "done"): 2}


def test_counts_are_due_after_a_while(counts, clock):
    counts.count_received("jobs")
    at_once = counts.are_due
    clock.advance(SAVE_INTERVAL)

    assert (at_once, counts.are_due) == (False, True)
    counts.take()
    assert counts.are_due is False


def test_the_figures_of_all_channels_are_added_up():
    channels = [
        (20, 0, [b"sent", b"10", b"done", b"6", b"last", b"90000", b"dropped:full", b"1"]),
        (0, 5, [b"sent", b"5", b"gone", b"1", b"full", b"5", b"last", b"95500", b"dropped:full", b"2"]),
    ]

    assert figures(waiting=3, age=2.5, now=100.0, channels=channels) == {
        "messages_count": 15,
        "messages_count_per_second": 2.0,
        "messages_received": 6,
        "messages_unfinished": 15 - 6 - 1 - 3,
        "messages_pending": 3,
        "messages_max_age": 2.5,
        "seconds_since_received": 4.5,
        "channel_full_count": 5,
        "channel_full_count_per_second": 0.5,
        "dropped": {"full": 3},
    }


def test_counts_that_are_on_their_way_make_no_negative_figure():
    assert figures(0, 0.0, 0.0, [(0, 0, [b"done", b"3"])])["messages_unfinished"] == 0
