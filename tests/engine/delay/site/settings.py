"""A site that sends messages later: a table in the database, and a layer that its processes share."""

import os

import environ

from channels.layers import from_url

SECRET_KEY = os.environ["SECRET_KEY"]
INSTALLED_APPS = ["channels", "channels.delay"]
MIDDLEWARE = []
ALLOWED_HOSTS = ["*"]
# The clients are no browsers.
CHANNELS_ALLOWED_ORIGINS = ["*"]
USE_TZ = True
DATABASES = {"default": environ.Env().db_url("DATABASE_URL")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # As in a generated project.
    DATABASES["default"]["OPTIONS"] = {
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
    }
CHANNEL_LAYERS = {
    "default": from_url(os.environ["CHANNEL_LAYER_URL"], routing="tests.engine.delay.site.routing.channel_routing")
}
ROOT_URLCONF = "tests.engine.delay.site.urls"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {process} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "INFO"},
}
