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


@pytest.mark.parametrize(
    ("url", "config"),
    [
        ("ipc://", {}),
        ("ipc:", {}),
        ("ipc:///run/chat", {"path": "/run/chat"}),
        ("ipc://var/ipc?capacity=5", {"path": "var/ipc", "capacity": 5}),
        ("ipc:///run/a%20b?prefix=shop&size=8388608", {"path": "/run/a b", "prefix": "shop", "size": 8388608}),
    ],
)
def test_an_ipc_url_names_a_folder(url, config):
    assert from_url(url) == {"BACKEND": "channels.layers.ipc.IPCChannelLayer", "CONFIG": config, "ROUTING": ()}


def test_redis_urls_keep_what_the_layer_does_not_know_for_the_client():
    assert from_url("rediss://user:p%40ss@10.0.0.5:6380/2?prefix=shop:&capacity=7&ssl_ca_certs=/own.pem") == {
        "BACKEND": "channels.layers.redis.RedisChannelLayer",
        "CONFIG": {
            "hosts": ["rediss://user:p%40ss@10.0.0.5:6380/2?ssl_ca_certs=%2Fown.pem"],
            "prefix": "shop:",
            "capacity": 7,
        },
        "ROUTING": (),
    }


@pytest.mark.parametrize(
    ("url", "config"),
    [
        (
            "redis+sentinel://10.0.0.5/mymaster",
            {"hosts": [("10.0.0.5", 26379)], "services": ["mymaster"], "connection_kwargs": {}, "sentinel_kwargs": {}},
        ),
        (
            "redis+sentinel://user:p%40ss@a:1,b,[::1]:3/one,two/5?prefix=shop:&expiry=30&sentinel_password=other",
            {
                "hosts": [("a", 1), ("b", 26379), ("::1", 3)],
                "services": ["one", "two"],
                "connection_kwargs": {"username": "user", "password": "p@ss", "db": 5},
                "sentinel_kwargs": {"password": "other"},
                "prefix": "shop:",
                "expiry": 30.0,
            },
        ),
        (
            "rediss+sentinel://a:1/one?ssl_ca_certs=/own.pem",
            {
                "hosts": [("a", 1)],
                "services": ["one"],
                "connection_kwargs": {"ssl": True, "ssl_ca_certs": "/own.pem"},
                "sentinel_kwargs": {"ssl": True, "ssl_ca_certs": "/own.pem"},
            },
        ),
    ],
)
def test_sentinel_urls_name_sentinels_and_services(url, config):
    assert from_url(url) == {
        "BACKEND": "channels.layers.redis.RedisSentinelChannelLayer",
        "CONFIG": config,
        "ROUTING": (),
    }


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("redis+sentinel://a:1", "no service"),
        ("redis+sentinel:///mymaster", "no sentinel"),
        ("redis+sentinel://a:b/mymaster", "'a:b'"),
        ("redis+sentinel://a/mymaster/first", "the database 'first'"),
        ("redis+sentinel://a/mymaster?ssl_ca_certs=x", "the option 'ssl_ca_certs'"),
        ("redis+sentinel://a/mymaster?services=x", "the option 'services'"),
    ],
)
def test_what_is_wrong_with_a_sentinel_url_is_said(url, found):
    with pytest.raises(InvalidChannelLayerError, match=found):
        from_url(url)


RABBITMQ = "channels.layers.rabbitmq.RabbitmqChannelLayer"


@pytest.mark.parametrize(
    ("url", "config"),
    [
        ("amqp://localhost", {"hosts": ["amqp://localhost"]}),
        (
            "amqp://shop:p%40ss@10.0.0.5, 10.0.0.6:5673/shop?prefix=shop:&capacity=7",
            {
                "hosts": ["amqp://shop:p%40ss@10.0.0.5/shop", "amqp://shop:p%40ss@10.0.0.6:5673/shop"],
                "prefix": "shop:",
                "capacity": 7,
            },
        ),
        (
            "amqps://10.0.0.5/%2F?ssl_ca_certs=/own.pem&expiry=30",
            {"hosts": ["amqps://10.0.0.5/%2F?ssl_ca_certs=%2Fown.pem"], "expiry": 30.0},
        ),
    ],
)
def test_the_url_of_a_broker_names_one_or_several(url, config):
    assert from_url(url) == {"BACKEND": RABBITMQ, "CONFIG": config, "ROUTING": ()}
