from pathlib import Path

import pytest

from channels import channel_layers, route
from channels.exceptions import InvalidChannelLayerError
from channels.layers.inmemory import InMemoryChannelLayer
from channels.layers.ipc import IPCChannelLayer
from channels.layers.rabbitmq import RabbitmqChannelLayer
from channels.layers.redis import RedisChannelLayer, RedisSentinelChannelLayer
from channels.message import Message
from channels.registry import _OLD_ARGUMENTS, _OLD_BACKENDS, ChannelLayerWrapper

REPOSITORY = Path(__file__).parents[2]
MEMORY = "channels.layers.inmemory.InMemoryChannelLayer"


def consumer(message):
    pass


ROUTES = [route("thumbnail", consumer)]
SOUND = {"BACKEND": MEMORY, "ROUTING": f"{__name__}.ROUTES"}


@pytest.fixture
def configure(settings):
    """Return a function that configures the layer "own"."""

    def configure(**config):
        settings.CHANNEL_LAYERS = {"own": config}

    yield configure
    channel_layers.set("own", None)


def test_a_layer_is_made_as_configured_and_once(configure):
    configure(**SOUND, CONFIG={"capacity": 7, "expiry": 3})
    layer = channel_layers["own"]

    assert isinstance(layer.channel_layer, InMemoryChannelLayer)
    assert (layer.capacity, layer.expiry) == (7, 3)
    assert channel_layers["own"] is layer
    assert channel_layers.make_backend("own") is not layer


def test_tests_may_have_a_configuration_of_their_own(configure):
    configure(**SOUND, CONFIG={"capacity": 7}, TEST_CONFIG={"capacity": 8})

    assert channel_layers.make_test_backend("own").capacity == 8


def test_without_a_configuration_for_tests_that_is_told(configure):
    configure(**SOUND)

    with pytest.raises(InvalidChannelLayerError, match="has no TEST_CONFIG, which tests need"):
        channel_layers.make_test_backend("own")


USUAL = {"expiry": 30, "group_expiry": 60, "capacity": 7, "channel_capacity": {"http.request": 200}}
FOR_REDIS = {"hosts": [("localhost", 6379)], "prefix": "old:", "stats_prefix": "old-meta:", "connection_kwargs": {}}
FOR_RABBITMQ = {"url": "amqp://guest:guest@rabbitmq:5672/%2F"}
FOR_SENTINEL = {"hosts": [("localhost", 26379)], "services": ["main"], "sentinel_refresh_interval": 5}
FOR_IPC = {"prefix": "old", "message_memory": 100 * 2**20, "group_memory": 20 * 2**20}


@pytest.mark.parametrize(
    ("backend", "config", "kind"),
    [
        ("asgiref.inmemory.ChannelLayer", USUAL, InMemoryChannelLayer),
        ("asgi_redis.RedisChannelLayer", USUAL | FOR_REDIS, RedisChannelLayer),
        ("asgi_redis.core.RedisChannelLayer", FOR_REDIS, RedisChannelLayer),
        ("asgi_redis.RedisLocalChannelLayer", FOR_REDIS, RedisChannelLayer),
        ("asgi_redis.local.RedisLocalChannelLayer", FOR_REDIS, RedisChannelLayer),
        ("asgi_redis.RedisSentinelChannelLayer", FOR_REDIS | FOR_SENTINEL, RedisSentinelChannelLayer),
        ("asgi_redis.sentinel.RedisSentinelChannelLayer", FOR_SENTINEL, RedisSentinelChannelLayer),
        ("asgi_rabbitmq.RabbitmqChannelLayer", USUAL | FOR_RABBITMQ, RabbitmqChannelLayer),
        ("asgi_rabbitmq.core.RabbitmqChannelLayer", FOR_RABBITMQ, RabbitmqChannelLayer),
        ("asgi_ipc.IPCChannelLayer", USUAL | FOR_IPC, IPCChannelLayer),
        ("asgi_ipc.core.IPCChannelLayer", FOR_IPC, IPCChannelLayer),
    ],
)
@pytest.mark.parametrize("key", ["CONFIG", "TEST_CONFIG"])
def test_the_old_dotted_paths_and_their_arguments_are_known(
    configure, monkeypatch, tmp_path, backend, config, kind, key
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    configure(BACKEND=backend, ROUTING=[], **{key: config})
    make = channel_layers.make_backend if key == "CONFIG" else channel_layers.make_test_backend
    layer = make("own").channel_layer

    assert type(layer) is kind
    assert layer.expiry == config.get("expiry", 60)
    assert layer.get_capacity("http.request") == (200 if "channel_capacity" in config else 100)


def test_the_page_on_moving_names_every_old_path_and_argument():
    page = (REPOSITORY / "docs" / "moving.md").read_text("utf-8")

    assert [name for name in (*_OLD_BACKENDS, *_OLD_ARGUMENTS) if f"`{name}`" not in page] == []


def test_another_layer_can_be_put_under_an_alias(configure):
    configure(**SOUND)
    own, replacement = channel_layers["own"], ChannelLayerWrapper(InMemoryChannelLayer(), "own")

    assert channel_layers.set("own", replacement) is own
    assert channel_layers["own"] is replacement
    assert channel_layers.set("own", None) is replacement
    assert channel_layers["own"] not in (own, replacement)


def test_the_aliases_are_those_of_the_setting(configure, settings):
    configure(**SOUND)

    assert list(channel_layers) == ["own"]
    assert ("own" in channel_layers, "default" in channel_layers) == (True, False)
    del settings.CHANNEL_LAYERS
    assert list(channel_layers) == []


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"ROUTING": []}, r"CHANNEL_LAYERS\['own'\] has no BACKEND. Name a layer class, for example"),
        ({"BACKEND": MEMORY}, r"CHANNEL_LAYERS\['own'\] has no ROUTING. Name a list of routes, for example"),
        ({**SOUND, "CONFG": {}}, "has the unknown key 'CONFG'; expected BACKEND, CONFIG, ROUTING, TEST_CONFIG"),
        ({**SOUND, "CONFIG": {"capacty": 1}}, r"CHANNEL_LAYERS\['own'\]\['CONFIG'\] does not fit .*capacty"),
        ({**SOUND, "CONFIG": {"stats_prefix": "a"}}, "does not fit .*stats_prefix"),
        ({**SOUND, "BACKEND": "nowhere.Layer"}, "'nowhere.Layer' cannot be imported"),
        ({**SOUND, "BACKEND": "channels.layers.inmemory.Nothing"}, "has no 'Nothing'"),
    ],
)
def test_a_mistake_in_the_setting_is_told(configure, config, sentence):
    configure(**config)

    with pytest.raises(InvalidChannelLayerError, match=sentence):
        channel_layers["own"]


def test_an_alias_that_is_missing_is_told_with_those_that_are_there(configure):
    configure(**SOUND)

    with pytest.raises(InvalidChannelLayerError, match=r"no layer 'other' \(it has: 'own'\)"):
        channel_layers["other"]


# The wrapper


def test_a_wrapper_is_the_layer_with_an_alias_and_a_router(configure):
    configure(**SOUND)
    layer = channel_layers["own"]

    assert layer.alias == "own"
    assert layer.router.channels == {"thumbnail"}
    assert layer.router.match(Message({}, "thumbnail", layer)) == (consumer, {})
    assert layer.send_many == layer.channel_layer.send_many
    assert repr(layer) == "<ChannelLayerWrapper own: InMemoryChannelLayer>"
    with pytest.raises(AttributeError):
        layer.nothing  # noqa: B018


def test_the_router_is_made_when_a_worker_asks_for_it(configure):
    configure(BACKEND=MEMORY, ROUTING="nowhere.routing.channel_routing")
    layer = channel_layers["own"]

    with pytest.raises(InvalidChannelLayerError, match="no module 'nowhere'"):
        layer.router  # noqa: B018


def test_the_router_is_made_once_and_another_one_on_request(configure):
    configure(**SOUND)
    layer = channel_layers["own"]

    assert layer.router is layer.router
    assert layer.make_router() is not layer.router
