"""What both sites have: sessions and users, in SQLite or PostgreSQL with the template's options."""

import os

SECRET_KEY = "benchmark"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["channels", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"]
MIDDLEWARE = []
ROOT_URLCONF = "urls"
USE_I18N = False
USE_TZ = True

_SQLITE = {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": os.environ.get("SQLITE_FILE"),
    "OPTIONS": {
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
    },
}
_POSTGRESQL = {
    "ENGINE": "django.db.backends.postgresql",
    "HOST": "127.0.0.1",
    "PORT": os.environ.get("POSTGRESQL_PORT"),
    "NAME": "postgres",
    "USER": "postgres",
}
_DATABASE = _POSTGRESQL if "POSTGRESQL_PORT" in os.environ else _SQLITE
DATABASES = {"default": {**_DATABASE, "CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}}
