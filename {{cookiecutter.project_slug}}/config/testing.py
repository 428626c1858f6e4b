"""
The settings of the tests: those of the site, in a fixed environment.

Only the database is left to `.env` and the environment; apart from it the tests give the same
answer everywhere, with and without an `.env`.
"""

import os

from django.core.management.utils import get_random_secret_key

os.environ.update(
    SECRET_KEY=get_random_secret_key(),
    DEBUG="true",
    ALLOWED_HOSTS="localhost,127.0.0.1",
    CSRF_TRUSTED_ORIGINS="",
    CHANNEL_LAYER_URL="memory://",
    SITE_NAME="Chat",
    SITE_DESCRIPTION="",
    USE_HTTPS="false",
    BEHIND_PROXY="false",
    PROXIES="1",
    RATE_LIMITS="false",
    REDIS_URL="",
    EMAIL_URL="",
    SENTRY_DSN="",
)

from config.settings import *  # noqa: F403

# A hash that costs nothing: logging in is not what most tests are about.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Tests run with DEBUG off, and nobody has collected the static files.
WHITENOISE_AUTOREFRESH = True
WHITENOISE_USE_FINDERS = True
