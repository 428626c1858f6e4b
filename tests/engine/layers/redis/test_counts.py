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


def test_a_count_of_none_says_that_somebody_reads(counts):
    counts.note_read("jobs")

    assert counts.take() == {("jobs", "done"): 0}
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
        (b"jobs", 20, 0, [b"sent", b"10", b"done", b"6", b"last", b"90000", b"dropped:full", b"1"]),
        (b"mails", 0, 5, [b"sent", b"5", b"gone", b"1", b"full", b"5", b"last", b"95500", b"dropped:full", b"2"]),
    ]

    assert figures(waiting={"jobs": 2, "mails": 1}, age=2.5, now=100.0, channels=channels) == {
        "messages_count": 15,
        "messages_count_per_second": 2.0,
        "messages_received": 6,
        "messages_unfinished": (10 - 6 - 2) + (5 - 1 - 1),
        "messages_pending": 3,
        "messages_max_age": 2.5,
        "seconds_since_received": 4.5,
        "channel_full_count": 5,
        "channel_full_count_per_second": 0.5,
        "dropped": {"full": 3},
    }


def test_counts_that_are_on_their_way_make_no_negative_figure():
    assert figures({}, 0.0, 0.0, [(b"jobs", 0, 0, [b"done", b"3"])])["messages_unfinished"] == 0


@pytest.mark.parametrize("late", [b"reply.x!", b"mails"])
def test_counts_that_are_on_their_way_hide_nothing_that_is_missing_elsewhere(late):
    channels = [(b"jobs", 0, 0, [b"sent", b"3", b"done", b"2"]), (late, 0, 0, [b"done", b"5"])]

    assert figures({}, 0.0, 0.0, channels)["messages_unfinished"] == 1


def test_a_channel_may_be_read_on_another_host_than_it_is_sent_to():
    channels = [(b"jobs", 0, 0, [b"sent", b"3"]), (b"jobs", 0, 0, [b"done", b"2"])]

    assert figures({"jobs": 1}, 0.0, 0.0, channels)["messages_unfinished"] == 0


def test_nothing_is_unfinished_in_a_process_queue_for_its_counts_come_late():
    channels = [(b"reply.x!", 0, 0, [b"sent", b"3", b"done", b"1"])]

    assert figures({"reply.x!": 1}, 0.0, 0.0, channels)["messages_unfinished"] == 0
