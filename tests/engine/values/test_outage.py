"""`channels.values.outage`: an outage is logged when it begins, once a minute while it lasts, and when it is over."""

import pytest

from channels.exceptions import ChannelLayerUnavailable
from channels.values.outage import Outage

from ..layers.fake_clock import FakeClock

AWAY = ChannelLayerUnavailable("nobody listens")


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def outage(clock):
    return Outage("the channel layer", clock)


def test_an_outage_is_logged_at_its_beginning_once_a_minute_and_at_its_end(outage, clock, caplog):
    for _ in range(80):
        outage.goes_on(AWAY)
        clock.advance(1)
    outage.is_over()

    failure = "This process cannot reach the channel layer, and goes on trying: nobody listens"
    assert caplog.messages == [failure, failure, "This process reaches the channel layer again, after 80.0 s"]


def test_each_outage_is_logged(outage, clock, caplog):
    for _ in range(2):
        outage.goes_on(AWAY)
        clock.advance(1)
        outage.is_over()

    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"] * 2


def test_an_outage_is_over_when_everything_that_failed_works_again(outage, caplog):
    for _ in range(2):
        outage.goes_on(AWAY, "reads")
        outage.goes_on(AWAY, "lease")
        outage.is_over("lease")
        outage.is_over("sends")
    while_reads_fail = len(caplog.messages)
    outage.is_over("reads")

    assert while_reads_fail == 1
    assert "reaches the channel layer again" in caplog.messages[1]


def test_what_an_outage_hinders_is_no_news_while_it_lasts(outage, caplog):
    caplog.set_level("INFO")
    outage.hinders(AWAY, "The end of this process could not be told")
    outage.goes_on(AWAY)
    outage.hinders(AWAY, "The end of this process could not be told")

    assert [(record.getMessage(), record.exc_info) for record in caplog.records] == [
        ("The end of this process could not be told: nobody listens", None),
        ("This process cannot reach the channel layer, and goes on trying: nobody listens", None),
    ]


def test_what_fails_for_another_reason_is_logged_in_an_outage_too(outage, caplog):
    outage.goes_on(AWAY)
    try:
        raise ZeroDivisionError("by zero")
    except ZeroDivisionError as error:
        outage.hinders(error, "The end of this process could not be told")

    assert caplog.messages[1] == "The end of this process could not be told: by zero"
    assert "Traceback" in caplog.text


def test_without_an_outage_nothing_is_logged(outage, caplog):
    outage.is_over()

    assert caplog.messages == []


def test_a_failure_that_the_layer_did_not_expect_is_logged_with_its_traceback(outage, caplog):
    outage.goes_on(AWAY)
    outage.is_over()
    try:
        raise ZeroDivisionError
    except ZeroDivisionError as error:
        outage.goes_on(error)

    assert [bool(record.exc_info) for record in caplog.records] == [False, False, True]
    assert "Traceback" in caplog.text
