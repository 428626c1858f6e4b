import threading
import time

import pytest

from channels import route
from channels.worker import deadlines
from channels.worker.deadlines import Waiting, call_later, seconds_left

from ..due import run_due


@pytest.fixture
def clock(monkeypatch):
    """Give a clock that can be set."""
    now = [1000.0]
    monkeypatch.setattr(deadlines.time, "monotonic", lambda: now[0])
    return now


def test_what_is_due_is_called_once_in_the_order_of_its_time(clock):
    calls = []
    for seconds in (3, 1, 2, 2):
        call_later(seconds, lambda seconds=seconds: calls.append(seconds))
    run_due()
    assert calls == []

    clock[0] += 2
    run_due()
    run_due()
    assert calls == [1, 2, 2]
    run_due(1003.0)
    assert calls == [1, 2, 2, 3]


def test_the_time_left_is_that_until_the_first_deadline_and_never_below_zero(clock):
    assert seconds_left() is None
    call_later(5, print)
    call_later(3, print)

    assert seconds_left() == 3
    clock[0] += 10
    assert seconds_left() == 0


def test_what_is_put_off_again_waits_for_the_next_time(clock):
    calls = []

    def again():
        calls.append(deadlines.time.monotonic())
        call_later(0, again)

    call_later(0, again)
    run_due()
    run_due()

    assert calls == [1000.0, 1000.0]


def test_what_fails_is_logged_and_keeps_nothing_up(clock, caplog):
    calls = []
    call_later(1, lambda: 1 / 0)
    call_later(2, lambda: calls.append("called"))
    run_due(1002.0)

    assert calls == ["called"]
    assert "ZeroDivisionError" in caplog.text


def test_messages_that_are_returned_are_handled_by_the_worker(make_site):
    texts = []
    site = make_site([route("thumbnail", lambda message: texts.append(message["text"]))])
    call_later(0, lambda: Waiting("thumbnail", {"text": "waited"}, "parts?x"))
    site.consume("thumbnail", text="came")

    assert texts == ["waited", "came"]


def test_each_thread_has_its_own(clock):
    calls = []
    call_later(0, lambda: calls.append("ours"))
    thread = threading.Thread(target=run_due)
    thread.start()
    thread.join()

    assert calls == []
    run_due()
    assert calls == ["ours"]


def test_a_worker_calls_what_is_due_before_it_runs_a_message_and_when_there_is_none(make_site):
    events = []
    site = make_site([route("thumbnail", lambda message: events.append("consumer"))])
    for _ in range(2):
        call_later(0, lambda: events.append("due"))
        site.consume("thumbnail")
    call_later(0, lambda: events.append("due"))
    site.work()

    assert events == ["due", "consumer", "due", "consumer", "due"]


def test_a_message_survives_a_deadline_that_fails(make_site):
    runs = []
    site = make_site([route("thumbnail", runs.append)])
    call_later(0, lambda: 1 / 0)
    site.consume("thumbnail")

    assert len(runs) == 1


def test_a_worker_waits_for_a_message_until_the_next_deadline(make_site):
    calls = []
    site = make_site([route("thumbnail", print)])
    call_later(0.01, lambda: calls.append("due"))
    before = time.monotonic()

    assert site.worker.step(block=True) is False
    assert site.worker.step() is False
    assert calls == ["due"]
    assert time.monotonic() - before < 5
