"""
The site's settings, read from the environment and from `.env` beside `manage.py`.

The environment wins over the file; `.env.example` lists every variable. Interface servers
load this module and nothing else of the site, so it imports no app and no model.
"""

from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from channels.layers import from_url

from .environment import Environment

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
    "chat",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "config.headers.BrowserPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
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

# Users

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "rooms"
LOGOUT_REDIRECT_URL = "rooms"

PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.ScryptPasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

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
# Anyone can send this header to a site that stands in the open: believe it only behind a proxy
# that sets it.
if env.bool("BEHIND_PROXY", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# Static files: WhiteNoise serves them, in development straight from the apps' folders.

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "config.storage.HashedStaticFilesStorage",
    },
}

# Language and time

LANGUAGE_CODE = env("LANGUAGE_CODE", default="en-us")
TIME_ZONE = env("TIME_ZONE", default="UTC")
USE_TZ = True

# Logging: to the console, where the process manager collects it.

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"},
    },
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "line"},
    },
    "root": {"handlers": ["console"], "level": env.log_level("LOG_LEVEL", default="INFO")},
    # Without handlers of its own, "django" reports once, through the root.
    "loggers": {"django": {"handlers": []}},
}
