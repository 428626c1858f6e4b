"""What a layer counts, and when it warns."""

import sys
import threading

import pytest

from channels.layers.statistics import Rate, Statistics

from .fake_clock import FakeClock


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def statistics(clock):
    return Statistics(clock)


# Rates


@pytest.mark.parametrize(
    ("events", "now", "per_second"),
    [
        ([], 100, 0.0),
        ([(100, 1)], 100, 0.1),
        ([(100, 1), (100.5, 2), (101, 7)], 101, 1.0),
        ([(100, 5)], 109.9, 0.5),
        ([(100, 5)], 110, 0.0),
        ([(100, 5), (105, 20)], 112, 2.0),
        ([(100, 5), (1000, 1)], 1000, 0.1),
    ],
)
def test_a_rate_is_the_mean_of_the_last_ten_seconds(events, now, per_second):
    rate = Rate()
    for time, count in events:
        rate.add(time, count)

    assert rate.per_second(now) == per_second
    assert rate.total == sum(count for _, count in events)


def test_a_rate_takes_little_memory_however_many_events_there_are():
    rate = Rate()
    for number in range(10_000):
        rate.add(number / 100)

    assert len(rate._seconds) <= 11
    assert rate.total == 10_000


# Channels


def test_a_channel_has_all_figures_from_the_start(statistics):
    assert statistics.of_channel("jobs", pending=0, max_age=0.0) == {
        "messages_count": 0,
        "messages_count_per_second": 0.0,
        "messages_received": 0,
        "messages_unfinished": 0,
        "messages_pending": 0,
        "messages_max_age": 0.0,
        "seconds_since_received": None,
        "channel_full_count": 0,
        "channel_full_count_per_second": 0.0,
        "dropped": {},
    }


def test_everything_that_happens_to_a_channel_is_counted(statistics, clock):
    for _ in range(5):
        statistics.count_sent("jobs")
    statistics.count_received("jobs")
    statistics.count_received("jobs", 2)
    statistics.count_full("jobs")
    statistics.count_dropped("jobs", "expired", count=3)
    statistics.count_dropped("jobs", "expired")
    statistics.count_dropped("jobs", "full")
    clock.advance(2.5)

    assert statistics.of_channel("jobs", pending=7, max_age=1.5) == {
        "messages_count": 5,
        "messages_count_per_second": 0.5,
        "messages_received": 3,
        "messages_unfinished": 0,
        "messages_pending": 7,
        "messages_max_age": 1.5,
        "seconds_since_received": 2.5,
        "channel_full_count": 1,
        "channel_full_count_per_second": 0.1,
        "dropped": {"expired": 4, "full": 1},
    }


def test_the_figures_of_all_channels_are_summed_up(statistics, clock):
    for channel in ["jobs", "parts?a1", "reply.x!1"]:
        statistics.count_sent(channel)
        statistics.count_full(channel)
        statistics.count_dropped(channel, "expired")
    statistics.count_received("jobs")
    clock.advance(3)
    statistics.count_received("reply.x!1")
    clock.advance(1)

    figures = statistics.of_all(pending=9, max_age=4.0)

    assert figures == {
        "messages_count": 3,
        "messages_count_per_second": pytest.approx(0.3),
        "messages_received": 2,
        "messages_unfinished": 0,
        "messages_pending": 9,
        "messages_max_age": 4.0,
        "seconds_since_received": 1.0,
        "channel_full_count": 3,
        "channel_full_count_per_second": pytest.approx(0.3),
        "dropped": {"expired": 3},
    }


def test_channels_with_random_ends_are_counted_together(statistics):
    for number in range(1000):
        statistics.count_sent(f"parts?{number}")
        statistics.count_sent(f"reply.x!{number}")

    assert statistics.of_channel("parts?new", 0, 0.0)["messages_count"] == 1000
    assert statistics.of_channel("reply.x!new", 0, 0.0)["messages_count"] == 1000
    assert statistics.of_channel("parts", 0, 0.0)["messages_count"] == 0


def test_threads_count_without_losing_anything(statistics):
    start = threading.Barrier(8)

    def count():
        start.wait()
        for number in range(500):
            # Each channel is new, and all threads come to it at about the same time.
            statistics.count_dropped(f"jobs.{number}", "full")

    threads = [threading.Thread(target=count) for _ in range(8)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)

    assert statistics.of_all(0, 0.0)["dropped"] == {"full": 4000}


# Warnings


def test_a_warning_names_channel_count_reason_and_advice(statistics, caplog):
    statistics.count_dropped("reply.x!1", "expired", "Is anybody reading it?", count=3)

    assert caplog.messages == ["3 message(s) for channel reply.x! dropped so far (expired). Is anybody reading it?"]


def test_the_same_warning_comes_once_a_minute_with_all_that_was_dropped(statistics, clock, caplog):
    for _ in range(120):
        statistics.count_dropped("parts?a1", "expired")
        statistics.count_dropped("parts?a2", "expired")
        clock.advance(1)

    assert caplog.messages == [
        "1 message(s) for channel parts? dropped so far (expired). ",
        "121 message(s) for channel parts? dropped so far (expired). ",
    ]


def test_another_channel_or_reason_is_another_warning(statistics, caplog):
    for channel, reason in [("a", "full"), ("a", "expired"), ("b", "full"), ("a", "full")]:
        statistics.count_dropped(channel, reason)

    assert [message.split("for channel ")[1] for message in caplog.messages] == [
        "a dropped so far (full). ",
        "a dropped so far (expired). ",
        "b dropped so far (full). ",
    ]
