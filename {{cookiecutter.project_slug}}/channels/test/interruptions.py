"""
Stop a consumer in the middle, and have others work meanwhile, although they share one database connection.

A worker of its own has a thread, and only one thread at a time goes on. It stops before each visit to the channel layer
and before each query outside of a transaction: a transaction is as good as one step, since another one that commits
meanwhile cannot be seen in the middle of one by all databases alike. So whatever happens here may happen to a site.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

from django.db import connections

from .commits import run_commit_hooks

# So long, in real seconds, a worker may take from one point where it can be stopped to the next.
PATIENCE = 60.0
# What ends a transaction that has been there: its blocks have been left already.
_ENDS = ("RELEASE SAVEPOINT", "ROLLBACK")
_own = threading.local()


class Killed(SystemExit):
    """Ends a worker's thread where a real worker would just be gone: it reaches no layer and no database any more."""


class Work:
    """Something that a worker does in a thread of its own, from one ``pause`` to the next."""

    def __init__(self, name: str) -> None:
        self.name = name
        # What it is about to do.
        self.before = ""
        self.is_done = False
        self._is_killed = False
        self._error: BaseException | None = None
        self._may_go_on = threading.Semaphore(0)
        self._has_stopped = threading.Semaphore(0)
        self._thread = 0

    def run(self, action: Callable[[], Any]) -> None:
        """Be the thread: do it, beginning when it is told to."""
        _own.work, self._thread = self, threading.get_ident()
        try:
            self._may_go_on.acquire()
            if not self._is_killed:
                action()
        except Killed:
            pass
        except BaseException as error:
            self._error = error
        finally:
            _own.work = None
            self.is_done = True
            self._has_stopped.release()

    def go_on(self) -> None:
        """Have it go on to its next pause, or to its end; what it raises comes out here."""
        self._may_go_on.release()
        if not self._has_stopped.acquire(timeout=PATIENCE):
            frame = sys._current_frames().get(self._thread)
            stack = "".join(traceback.format_stack(frame)) if frame is not None else ""
            raise RuntimeError(
                f"{self.name} has not come to an end within {PATIENCE:.0f} s. Does it wait for something that another "
                f"worker has, a lock for example? It is at\n{stack}"
            )
        if self._error is not None:
            raise self._error

    def kill(self) -> None:
        """Have it do nothing more; it may take a moment to end."""
        self._is_killed = True
        self._may_go_on.release()

    def wait(self) -> bool:
        """Wait for the end of what was killed; return whether it has come."""
        return self._has_stopped.acquire(timeout=PATIENCE)

    def pause(self, before: str) -> None:
        """Let others go on; to be called in its thread."""
        if not self._is_killed:
            self.before = before
            self._has_stopped.release()
            self._may_go_on.acquire()
        if self._is_killed:
            raise Killed


class SharedDatabases:
    """
    The database connections of the thread that makes this, for those of workers too.

    Tests often run in a transaction that is rolled back at the end. It is not seen by what runs here: what is committed
    inside it counts as committed, and what waits for that (``on_commit``) is done.
    """

    def __init__(self) -> None:
        self._connections = [connections[alias] for alias in connections]
        self._depths = [len(connection.atomic_blocks) for connection in self._connections]
        self._waiting = [len(connection.run_on_commit) for connection in self._connections]

    def __enter__(self) -> SharedDatabases:
        for connection in self._connections:
            connection.inc_thread_sharing()
            connection.execute_wrappers.append(self._before_query)
        return self

    def __exit__(self, *exception: object) -> None:
        for connection in self._connections:
            connection.execute_wrappers.remove(self._before_query)
            connection.dec_thread_sharing()

    def adopt(self) -> None:
        """Use them in this thread."""
        for connection in self._connections:
            connections[connection.alias] = connection

    def pause(self, before: str) -> None:
        """Let others go on, if this is the thread of a worker and in no transaction."""
        work: Work | None = getattr(_own, "work", None)
        if work is None or any(
            len(connection.atomic_blocks) > depth
            for connection, depth in zip(self._connections, self._depths, strict=True)
        ):
            return
        self.finish_commits()
        work.pause(before)

    def finish_commits(self) -> None:
        """Do what waits for the end of a transaction that has ended."""
        for connection, depth, waiting in zip(self._connections, self._depths, self._waiting, strict=True):
            if not depth or len(connection.atomic_blocks) > depth:
                continue
            run_commit_hooks(connection, waiting)

    def _before_query(self, execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        text = str(sql)
        if not text.startswith(_ENDS):
            self.pause(f"asks the database {text[:60]}")
        return execute(sql, params, many, context)


def is_worker() -> bool:
    """Say whether this is the thread of a worker."""
    return getattr(_own, "work", None) is not None


def hide_killed(record: logging.LogRecord) -> bool:
    """Log nothing of what a killed worker could not say any more."""
    return not (record.exc_info and record.exc_info[0] and issubclass(record.exc_info[0], Killed))
