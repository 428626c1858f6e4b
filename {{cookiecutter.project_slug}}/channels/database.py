"""Look after the database connections of a worker thread, as Django does around each request."""

from __future__ import annotations

from django.db import connections


def close_old_connections() -> None:
    """Close the connections of this thread that are broken, or older than ``CONN_MAX_AGE``."""
    for connection in connections.all(initialized_only=True):
        # Only a test runs a consumer inside a transaction, which ends with its connection.
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
