"""The same site for the peer, with the same two defaults of redis-py lifted as in the settings without a database."""

import os

from site_settings import *  # noqa: F403

REDIS_HOST = {
    "address": f"redis://127.0.0.1:{os.environ['REDIS_PORT']}/0",
    "socket_timeout": None,
    "max_connections": 10_000,
}
CHANNEL_LAYERS = {
    "default": {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": [REDIS_HOST]}},
}
