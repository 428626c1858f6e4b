"""The URL of a channel layer, and the configuration it stands for."""

import pytest

from channels.exceptions import InvalidChannelLayerError
from channels.layers import from_url

MEMORY = "channels.layers.inmemory.InMemoryChannelLayer"


@pytest.mark.parametrize(
    ("url", "config"),
    [
        ("memory://", {}),
        ("memory:", {}),
        ("memory://?capacity=1000", {"capacity": 1000}),
        ("memory://?expiry=2.5&group_expiry=600", {"expiry": 2.5, "group_expiry": 600.0}),
        ("memory://?max_message_size=4096&capacity=7", {"max_message_size": 4096, "capacity": 7}),
    ],
)
def test_the_query_holds_numbers_of_the_configuration(url, config):
    assert from_url(url) == {"BACKEND": MEMORY, "CONFIG": config, "ROUTING": ()}


def test_whole_numbers_stay_whole():
    assert repr(from_url("memory://?capacity=5&expiry=5")["CONFIG"]) == repr({"capacity": 5, "expiry": 5.0})


def test_the_routing_is_handed_on():
    assert from_url("memory://", routing="config.routing.routing")["ROUTING"] == "config.routing.routing"


@pytest.mark.parametrize("url", ["", "pigeon://loft", "localhost:6379", "memory"])
def test_an_unknown_scheme_is_refused_with_those_that_are_known(url):
    with pytest.raises(InvalidChannelLayerError) as raised:
        from_url(url)

    assert repr(url.partition(":")[0] if ":" in url else "") in str(raised.value)
    assert "memory://" in str(raised.value)
    assert "CHANNEL_LAYER_URL" in str(raised.value)


def test_an_unknown_option_is_refused_with_those_that_are_known():
    with pytest.raises(InvalidChannelLayerError, match="'capactiy'; expected one of expiry, group_expiry, capacity"):
        from_url("memory://?capactiy=5")


@pytest.mark.parametrize("query", ["capacity=many", "capacity=", "capacity=1.5", "expiry=soon"])
def test_an_option_that_is_no_number_is_refused(query):
    with pytest.raises(InvalidChannelLayerError, match="is no number") as raised:
        from_url(f"memory://?{query}")

    assert repr(query.partition("=")[2]) in str(raised.value)
