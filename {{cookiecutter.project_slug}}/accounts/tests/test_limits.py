"""How much is too much, and where somebody comes from."""

import pytest
from django.test import RequestFactory

from accounts.limits import TooMany, address_of, give_back, spend, spend_all


@pytest.fixture
def now(counting, monkeypatch):
    """The time of the clock, which a test may set."""
    clock = [1_000_000.0]
    monkeypatch.setattr("accounts.limits.time.time", lambda: clock[0])
    return clock


@pytest.fixture(autouse=True)
def limits(settings):
    settings.RATE_LIMITS = {"knock": (2, 600)}


def test_so_many_are_allowed_and_the_next_is_told_when_to_come_back(now):
    now[0] = 600_000 * 600 + 150
    spend("knock", "anna")
    spend("knock", "anna")
    with pytest.raises(TooMany) as too_many:
        spend("knock", "anna")

    assert (too_many.value.seconds, str(too_many.value)) == (450, "That was too often. Please try again in 8 minutes.")
    spend("knock", "ben")
    now[0] += 450
    spend("knock", "anna")


def test_what_is_given_back_may_be_spent_again(now):
    for _ in range(5):
        spend("knock", "anna")
        give_back("knock", "anna")
    give_back("knock", "nobody")

    spend("knock", "anna")


def test_what_one_limit_refuses_counts_for_no_other(now, settings):
    settings.RATE_LIMITS = {"house": (2, 600), "knock": (1, 600)}
    spend_all([("house", "mill"), ("knock", "anna")])
    for _ in range(5):
        with pytest.raises(TooMany):
            spend_all([("house", "mill"), ("knock", "anna")])

    spend_all([("house", "mill"), ("knock", "ben")])


@pytest.mark.parametrize(("limit", "who"), [("other", "anna"), ("knock", None)])
def test_without_a_limit_or_somebody_to_count_nothing_is_counted(now, limit, who):
    for _ in range(3):
        spend(limit, who)
        give_back(limit, who)


def test_names_of_any_length_and_kind_are_counted(now):
    for who in ("x" * 999, "a b\n\x00", "\ud800"):
        spend("knock", who)


def test_a_cache_that_keeps_nothing_limits_nothing(settings):
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    for _ in range(3):
        spend("knock", "anna")
        give_back("knock", "anna")


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (0, "6.6.6.6", "10.0.0.1"),
        (1, "6.6.6.6, 8.8.8.8", "8.8.8.8"),
        (2, "6.6.6.6, 8.8.8.8, 9.9.9.9", "8.8.8.8"),
        (2, "8.8.8.8", "10.0.0.1"),
        (1, "unknown", None),
        (1, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        (1, "::ffff:8.8.8.8", "8.8.8.8"),
    ],
)
def test_an_address_comes_from_the_proxies_that_are_trusted(settings, proxies, forwarded, expected):
    settings.BEHIND_PROXY, settings.PROXIES = proxies > 0, max(1, proxies)
    request = RequestFactory().get("/", REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR=forwarded)

    assert address_of(request) == expected


def test_a_request_over_a_unix_socket_has_no_address():
    assert address_of(RequestFactory().get("/", REMOTE_ADDR="")) is None
