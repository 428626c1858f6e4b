"""The original. With its default capacity of 100, most of a message to 1,000 members would be lost."""

import os

SECRET_KEY = "benchmark"
DEBUG = False
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["channels"]
MIDDLEWARE = []
ROOT_URLCONF = "urls"
USE_I18N = False
USE_TZ = False

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "asgi_redis.RedisChannelLayer",
        "CONFIG": {"hosts": [f"redis://127.0.0.1:{os.environ['REDIS_PORT']}/0"], "capacity": 20000},
        "ROUTING": "routing.channel_routing",
    },
}
