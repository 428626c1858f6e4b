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
