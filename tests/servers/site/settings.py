"""A site that has nothing but what the tests of the servers need."""

import json
import os

SECRET_KEY = os.environ["SECRET_KEY"]
ALLOWED_HOSTS = ["*"]
# The clients are no browsers.
CHANNELS_ALLOWED_ORIGINS = ["*"]
INSTALLED_APPS = ["channels"]
ROOT_URLCONF = "tests.servers.site.urls"
USE_TZ = True
FORCE_SCRIPT_NAME = os.environ.get("FORCE_SCRIPT_NAME")

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels.layers.inmemory.InMemoryChannelLayer",
        "ROUTING": f"tests.servers.site.{os.environ.get('ROUTING', 'routing')}.channel_routing",
    },
}
CHANNELS_INTERFACE = json.loads(os.environ.get("LIMITS", "{}"))

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "INFO"},
}
