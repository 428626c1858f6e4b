"""The settings of the notes for a layer over Redis: the old dotted path, and hosts as pairs."""

import pytest

from channels import channel_layers
from channels.layers.redis import RedisChannelLayer
from channels.routing import route


@pytest.mark.parametrize("host", ["localhost", "redis-server-name"])
def test_the_old_path_of_the_redis_layer_is_known(settings, host):
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "asgi_redis.RedisChannelLayer",
            "CONFIG": {
                "hosts": [(host, 6379)],
            },
            "ROUTING": [route("websocket.receive", print)],
        },
    }

    layer = channel_layers.make_backend("default")

    assert isinstance(layer.channel_layer, RedisChannelLayer)
    assert layer.router.channels == {"websocket.receive"}
    assert layer.spans_processes
