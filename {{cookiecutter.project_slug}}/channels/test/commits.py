"""What waits for a commit, in the transaction of a test, which is rolled back at its end."""

from __future__ import annotations

import logging
from typing import Any


def run_commit_hooks(connection: Any, start: int) -> None:
    """Run what waits for a commit of a connection, from a place in its list on, as Django does after one."""
    # They may leave more for after a commit.
    while hooks := connection.run_on_commit[start:]:
        del connection.run_on_commit[start:]
        for _, hook, is_robust in hooks:
            _run(hook, is_robust)


def _run(hook: Any, is_robust: bool) -> None:
    try:
        hook()
    except Exception:
        if not is_robust:
            raise
        logging.getLogger("django.db.backends.base").exception("Error calling %s in on_commit()", hook)
