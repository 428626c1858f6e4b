"""A site of many processes: sessions in a file of SQLite, messages in Redis."""

import os

from channels.layers import from_url

SECRET_KEY = os.environ["SECRET_KEY"]
ALLOWED_HOSTS = ["*"]
# The clients are no browsers.
CHANNELS_ALLOWED_ORIGINS = ["*"]
INSTALLED_APPS = ["channels", "django.contrib.sessions"]
MIDDLEWARE = []
ROOT_URLCONF = "site_code.urls"
USE_TZ = True
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ["DATABASE"],
        # As in a generated project.
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF",
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
        },
    }
}
CHANNEL_LAYERS = {"default": from_url(os.environ["CHANNEL_LAYER_URL"], routing="site_code.routing.channel_routing")}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {process} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "INFO"},
    # Tests wait until the reloader has seen a file before they change it.
    "loggers": {"django.utils.autoreload": {"level": "DEBUG"}},
}
