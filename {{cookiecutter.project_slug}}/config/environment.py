"""Reads settings from the environment and from `.env`. What cannot be read is told in a sentence that names it."""

import logging
import os

import environ
from django.core.exceptions import ImproperlyConfigured


class Environment(environ.Env):
    """The variables of the environment, and those of a file (`read_env`) that the environment does not have."""

    # A copy: child processes read the file themselves, as it is when they start.
    ENVIRON = dict(os.environ)

    def text(self, name, default=""):
        """Return a text as it is. The usual call takes a leading $ for the name of another variable."""
        return self.ENVIRON.get(name, default)

    def texts(self, name):
        """Return what is separated by commas, without the blanks around it."""
        return [text.strip() for text in self.text(name).split(",") if text.strip()]

    def count(self, name, default):
        """Return a whole number, zero or more."""
        text = self.text(name, str(default)).strip()
        if not text.isdecimal():
            raise ImproperlyConfigured(
                f"{name} is {text!r}; expected a whole number, for example {default}. "
                "Change it in the environment or in .env."
            )
        return int(text)

    def choice(self, name, choices):
        """Return one of several words, the first where there is none."""
        word = self.text(name).strip().lower() or choices[0]
        if word not in choices:
            raise ImproperlyConfigured(
                f"{name} is {self.text(name)!r}; expected one of {', '.join(choices)}. "
                "Change it in the environment or in .env."
            )
        return word

    def log_level(self, name, default):
        """Return the name of a level, however it is written."""
        level = self.text(name, default).strip().upper()
        known = logging.getLevelNamesMapping()
        if level not in known:
            raise ImproperlyConfigured(
                f"{name} is {self.text(name)!r}; expected one of {', '.join(known)}. "
                "Change it in the environment or in .env."
            )
        return level

    def database(self, name, default, **defaults):
        """
        Return an entry of DATABASES for a URL: what the URL says, and `defaults` where it says nothing.

        Its query may name Django's settings of a connection, such as conn_max_age, and options of the driver.
        """
        url = self.text(name, default).strip()
        scheme = url.partition(":")[0]
        if scheme not in self.DB_SCHEMES:
            raise ImproperlyConfigured(
                f"{name} begins with {scheme!r}; expected a URL such as sqlite:///db.sqlite3 or "
                "postgres://user:password@host:5432/name. Change it in the environment or in .env."
            )
        database = self.db_url_config(url)
        for key in [key for key in _SETTINGS if key in database]:
            database[key] = _meaning_of(database[key], _TRUTHS | _WORDS)
        options = database.get("OPTIONS", {})
        options |= {key: _meaning_of(value, _TRUTHS) for key, value in options.items()}
        return defaults | database

    def shared_cache(self, name, layer):
        """
        Return an entry of CACHES: on the Redis server of a URL or else of the channel layer, or in memory.

        That of a process's memory has room for the counters of many visitors.
        """
        hosts = [host for host in layer.get("hosts", []) if isinstance(host, str)]  # those of Sentinel are none
        url = self.text(name).strip() or next(iter(hosts), "")
        if not url:
            return {"BACKEND": f"{_CACHES}.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 20_000}}
        return {
            "BACKEND": f"{_CACHES}.redis.RedisCache",
            "LOCATION": url,
            "KEY_PREFIX": f"{layer.get('prefix', 'channels:')}cache",
            "OPTIONS": {"socket_connect_timeout": 5, "socket_timeout": 5},
        }

    def mailer(self, name, default):
        """Return an entry of MAILERS, Django's setting since 6.1, for a URL. ``default`` is one, too."""
        url = self.text(name).strip() or default
        scheme = url.partition(":")[0]
        if scheme not in self.EMAIL_SCHEMES:
            raise ImproperlyConfigured(
                f"{name} begins with {scheme!r}; expected a URL such as smtp+tls://user:password@host:587, "
                "smtp+ssl://user:password@host:465 or consolemail://. Change it in the environment or in .env."
            )
        parts = self.email_url_config(url)
        options = {"file_path": parts["EMAIL_FILE_PATH"]} if scheme == "filemail" else {}
        if scheme.startswith("smtp"):
            options = {
                "host": parts["EMAIL_HOST"],
                "port": parts["EMAIL_PORT"] or {"smtp": 25, "smtp+ssl": 465}.get(scheme, 587),
                "username": parts["EMAIL_HOST_USER"] or "",
                "password": parts["EMAIL_HOST_PASSWORD"] or "",
                "use_tls": parts.get("EMAIL_USE_TLS", False),
                "use_ssl": parts.get("EMAIL_USE_SSL", False),
                "timeout": 10,  # a worker waits for it
            }
        return {"BACKEND": parts["EMAIL_BACKEND"], "OPTIONS": options}


def mail_settings(mailer):
    """Return the settings that Django before 6.1 has for an entry of MAILERS."""
    names = {"username": "HOST_USER", "password": "HOST_PASSWORD"}
    options = {f"EMAIL_{names.get(name, name.upper())}": value for name, value in mailer["OPTIONS"].items()}
    return {"EMAIL_BACKEND": mailer["BACKEND"], **options}


_CACHES = "django.core.cache.backends"
# Django's settings of a connection that the query of a URL may name.
_SETTINGS = ("CONN_MAX_AGE", "CONN_HEALTH_CHECKS", "ATOMIC_REQUESTS", "AUTOCOMMIT", "DISABLE_SERVER_SIDE_CURSORS")
_TRUTHS = {"true": True, "false": False}
# To a driver these may be names of its own.
_WORDS = {"yes": True, "no": False, "on": True, "off": False, "none": None}


def _meaning_of(value, words):
    """Return what a text stands for: what one of the words means, a number, or itself."""
    if not isinstance(value, str):
        return value
    if value.lower() in words:
        return words[value.lower()]
    try:
        return float(value) if value[-1:].isdigit() else value
    except ValueError:
        return value
