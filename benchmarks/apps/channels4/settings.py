"""The same for the peer, with two defaults of redis-py 8 that channels_redis 4.3 was not written for lifted."""

import os

SECRET_KEY = "benchmark"
DEBUG = False
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["channels"]
MIDDLEWARE = []
ROOT_URLCONF = "urls"
USE_I18N = False
USE_TZ = False

BACKENDS = {
    "redis": "channels_redis.core.RedisChannelLayer",
    "pubsub": "channels_redis.pubsub.RedisPubSubChannelLayer",
}
REDIS_HOST = {
    "address": f"redis://127.0.0.1:{os.environ['REDIS_PORT']}/0",
    # Reads time out after 5 s, as long as the layer blocks in one: a consumer would die every five idle seconds.
    "socket_timeout": None,
    # A pool gives out 100 connections: when more sockets close at once, their group_discard would fail.
    "max_connections": 10_000,
}
CHANNEL_LAYERS = {"default": {"BACKEND": BACKENDS[os.environ["LAYER"]], "CONFIG": {"hosts": [REDIS_HOST]}}}
