"""
Give each message a context of its own, as a web server gives one to each request.

Language, time zone, script prefix and URLconf are context variables, and so is what error trackers and loggers know of
a visitor. In a context of its own a message finds what the settings say, and leaves nothing behind for the next one.
"""

from __future__ import annotations

import contextlib
import contextvars
import threading

from django.core.cache import caches

_own = threading.local()


def new_context() -> contextvars.Context:
    """Return a context in which nothing is set but the caches of this thread. It is for this thread only."""
    blank: contextvars.Context | None = getattr(_own, "blank", None)
    if blank is None:
        blank = _own.blank = contextvars.Context()
        blank.run(_open_caches)
    return blank.copy()


def _open_caches() -> None:
    # Django keeps them in the context; made anew for each message, they would connect anew for each, too.
    for alias in caches:
        # One that cannot be made raises where it is used.
        with contextlib.suppress(Exception):
            caches[alias]
