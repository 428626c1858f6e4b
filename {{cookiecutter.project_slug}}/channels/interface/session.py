"""The channel session of a connection, where it is kept: with the connection."""

from __future__ import annotations

from ..layers.base import Content, Finish


def merged(session: Content, finish: Finish) -> Content:
    """Return the values of a session with what a consumer has changed; others may have changed others meanwhile."""
    kept = {key: value for key, value in session.items() if key not in finish.removed}
    return kept | finish.changed
