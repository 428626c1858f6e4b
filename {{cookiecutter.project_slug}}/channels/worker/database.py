"""Look after the database connections of a worker thread, as Django does around each request."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from django.db import connections
from django.db.backends.signals import connection_created

# Whether a thread has ever had a connection: many consumers never need one.
_own = threading.local()


def _note_connection(**kwargs: Any) -> None:
    _own.has_had_connections = True


connection_created.connect(_note_connection, dispatch_uid="channels.worker.database")


def close_old_connections() -> None:
    """Close the connections of this thread that are broken, or older than ``CONN_MAX_AGE``."""
    if not getattr(_own, "has_had_connections", False) or getattr(_own, "keeps_connections", False):
        return
    for connection in connections.all(initialized_only=True):
        # Only a test runs a consumer inside a transaction, which ends with its connection.
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()


@contextlib.contextmanager
def keep_connections() -> Iterator[None]:
    """Close none in this thread meanwhile, where consumers run that do not own it: in a test."""
    _own.keeps_connections = True
    try:
        yield
    finally:
        _own.keeps_connections = False
