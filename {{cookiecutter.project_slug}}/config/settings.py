"""
The site's settings, read from the environment and from `.env` beside `manage.py`.

The environment wins over the file; `.env.example` lists every variable. Interface servers
load this module and nothing else of the site, so it imports no app and no model.
"""

from pathlib import Path

import django
from django.core.exceptions import ImproperlyConfigured

from channels.layers import from_url

from .environment import Environment, mail_settings
from .headers import socket_origins

BASE_DIR = Path(__file__).resolve().parent.parent

env = Environment()
env.read_env(BASE_DIR / ".env")

SECRET_KEY = env.text("SECRET_KEY")
if not SECRET_KEY:
    raise ImproperlyConfigured(
        "SECRET_KEY is not set. Put a long random one into .env (start from .env.example) or into "
        'the environment; this makes one: python -c "import secrets; print(secrets.token_urlsafe(48))"'
    )
# Keys that are still accepted while you replace SECRET_KEY.
SECRET_KEY_FALLBACKS = env.texts("SECRET_KEY_FALLBACKS")

DEBUG = env.bool("DEBUG", default=False)
ALLOWED_HOSTS = env.texts("ALLOWED_HOSTS")
CSRF_TRUSTED_ORIGINS = env.texts("CSRF_TRUSTED_ORIGINS")

SITE_NAME = env.text("SITE_NAME", "Chat")
SITE_DESCRIPTION = env.text("SITE_DESCRIPTION")

# Applications. The first app with a `runserver` command wins it: "channels" extends that of "daphne".

INSTALLED_APPS = [
    "channels",
    "daphne",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "accounts",
    "chat",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "config.headers.BrowserPolicyMiddleware",
    # From Django 6.0 on its own.
    "django.middleware.csp.ContentSecurityPolicyMiddleware"
    if django.VERSION >= (6,)
    else "config.headers.ContentSecurityPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "chat.context_processors.site",
            ],
        },
    },
]

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
WSGI_APPLICATION = "config.wsgi.application"

# Channels

CHANNEL_LAYER_URL = env("CHANNEL_LAYER_URL", default="memory://")
CHANNEL_LAYERS = {
    "default": from_url(CHANNEL_LAYER_URL, routing="config.routing.channel_routing"),
}
if CHANNEL_LAYER_URL.startswith("ipc:"):
    # A relative path starts beside manage.py, so that all processes of the site find the same folder.
    ipc = CHANNEL_LAYERS["default"]["CONFIG"]
    ipc["path"] = BASE_DIR / ipc.get("path", ".ipc")
# Messages are encrypted with the first of these, and read with any. Only a layer over Redis knows them.
if CHANNEL_LAYER_KEYS := env.texts("CHANNEL_LAYER_KEYS"):
    CHANNEL_LAYERS["default"]["CONFIG"]["symmetric_encryption_keys"] = CHANNEL_LAYER_KEYS
# Workers that run as threads inside the interface server. No other process can reach a layer in
# memory, so there they are the only workers; with any other layer start `manage.py runworker`.
WORKER_THREADS = env.count("WORKER_THREADS", default=4 if CHANNEL_LAYER_URL.startswith("memory:") else 0)
# The sockets of a user are looked at when the account has changed, and once in so many seconds (docs/auth.md).
CHANNELS_SOCKETS_FOLLOW_ACCOUNT = 300

# Database

# What DATABASE_URL says, also in its query (?conn_max_age=0), wins over what stands here.
DATABASES = {
    "default": env.database("DATABASE_URL", "sqlite:///db.sqlite3", CONN_MAX_AGE=60, CONN_HEALTH_CHECKS=True),
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"] |= {
        # A relative path starts beside manage.py, wherever the process was started.
        "NAME": BASE_DIR / DATABASES["default"]["NAME"],
        "OPTIONS": {
            # Workers are threads that read and write at once: with a write-ahead log readers wait
            # for nobody, and an immediate transaction waits its turn at its start, where SQLite
            # can wait, and not at its first write, where it would fail at once.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            **DATABASES["default"].get("OPTIONS", {}),
        },
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Cache: on Redis where Redis is there, so that all processes see the same.

CACHES = {"default": env.shared_cache("REDIS_URL", CHANNEL_LAYERS["default"]["CONFIG"])}

# Users. The model is the site's own, so that it can be changed: docs/accounts.md of chan-template says how.

AUTH_USER_MODEL = "accounts.User"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "rooms"
LOGOUT_REDIRECT_URL = "rooms"

PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.ScryptPasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

# How often somebody may do something: so many times within so many seconds. What is not listed has no limit.
RATE_LIMITS = {
    "signup": (20, 3600),  # accounts made from one address
    "login": (10, 600),  # wrong passwords for one name from one address
    "login_address": (100, 600),  # wrong passwords from one address
    "login_name": (100, 3600),  # wrong passwords for one name, from anywhere
    "password": (10, 600),  # wrong passwords on the pages of an account: a borrowed browser is no place to guess
    "reset": (20, 3600),  # links to a new password asked for from one address
    "reset_email": (3, 3600),  # links sent to one e-mail address
    "room": (10, 3600),  # rooms opened by one user
}
if not env.bool("RATE_LIMITS", default=True):
    RATE_LIMITS = {}

# Mail: shown in the terminal during development. In production it goes nowhere without EMAIL_URL, and a check says so.

MAILERS = {"default": env.mailer("EMAIL_URL", default="consolemail://" if DEBUG else "dummymail://")}
if django.VERSION < (6, 1):
    globals().update(mail_settings(MAILERS["default"]))
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", "webmaster@localhost")

# Security. Everything that needs HTTPS hangs on one switch, which is on wherever DEBUG is off.

USE_HTTPS = env.bool("USE_HTTPS", default=not DEBUG)
SECURE_SSL_REDIRECT = USE_HTTPS
SECURE_HSTS_SECONDS = env.count("HSTS_SECONDS", default=60) if USE_HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = USE_HTTPS
SECURE_HSTS_PRELOAD = USE_HTTPS
SESSION_COOKIE_SECURE = USE_HTTPS
CSRF_COOKIE_SECURE = USE_HTTPS
if USE_HTTPS:
    # Browsers take cookies so named from this very host only, never from a subdomain.
    SESSION_COOKIE_NAME = "__Host-sessionid"
    CSRF_COOKIE_NAME = "__Host-csrftoken"
CSRF_COOKIE_HTTPONLY = True
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
# Pages use what comes from this site, and nothing written inside of them. Sockets go to its own hosts.
SECURE_CSP = {
    "default-src": ["'self'"],
    "connect-src": ["'self'", *socket_origins(ALLOWED_HOSTS, USE_HTTPS)],
    "img-src": ["'self'", "data:"],
    "object-src": ["'none'"],
    "base-uri": ["'none'"],
    "form-action": ["'self'"],
    "frame-ancestors": ["'none'"],
}
# Anyone can send these headers to a site that stands in the open: believe them only behind a proxy
# that sets them. X-Forwarded-For is asked for the visitor's address: each proxy adds one to its end.
BEHIND_PROXY = env.bool("BEHIND_PROXY", default=False)
PROXIES = max(1, env.count("PROXIES", default=1))
if BEHIND_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# Static files: WhiteNoise serves them, in development straight from the apps' folders.

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
# What browsers and search engines ask for at the root: /favicon.ico, /robots.txt.
WHITENOISE_ROOT = BASE_DIR / "public"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "config.storage.HashedStaticFilesStorage",
    },
}

# Language and time

# That of a visitor whose browser asks for none of those below, of the commands and of the consumers.
LANGUAGE_CODE = env("LANGUAGE_CODE", default="en-us")
# Visitors see the first one their browser asks for, or choose. Each has its sentences in locale/.
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = env("TIME_ZONE", default="UTC")
USE_TZ = True

# Logging: to the console, where the process manager collects it.

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"()": "config.log.LineFormatter"},
        "json": {"()": "config.log.JsonFormatter"},
    },
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": env.choice("LOG_FORMAT", ["line", "json"])},
    },
    "root": {"handlers": ["console"], "level": env.log_level("LOG_LEVEL", default="INFO")},
    # Without handlers of its own, "django" reports once, through the root.
    "loggers": {"django": {"handlers": []}},
}

# Errors, to a tracker that speaks Sentry's protocol.

if SENTRY_DSN := env.text("SENTRY_DSN"):
    try:
        import sentry_sdk
    except ImportError as error:
        raise ImproperlyConfigured(
            "SENTRY_DSN is set, but sentry-sdk is not installed. Add it to requirements.txt: "
            "python -m pip install sentry-sdk"
        ) from error
    # What visitors type, passwords among it, stays here: no bodies of requests, no variables of functions.
    sentry_sdk.init(dsn=SENTRY_DSN, max_request_body_size="never", include_local_variables=False)
