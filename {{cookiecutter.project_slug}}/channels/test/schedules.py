"""
Repeat a test with many schedules, and say how to repeat the one that has failed.

It works alike in a test case of Django and in a test function of pytest. What one schedule has saved in the database is
rolled back before the next, where the test runs in a transaction: in a ``TestCase``, and with the fixture ``db``.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import shlex
import unittest
from collections.abc import Callable, Iterator
from typing import Any

from django.db import connections, transaction

from .scheduler import Scheduler

# The environment variable with the one seed to be used.
SEED = "CHANNELS_TEST_SEED"

Test = Callable[..., Any]


def for_all_schedules(count: int = 100, **options: Any) -> Callable[[Test], Test]:
    """
    Give a test the argument ``scheduler``, a ``Scheduler`` made with ``options``, again and again: ``count`` times.

    The seeds are 0, 1, 2 and so on. The first one that fails ends the test, with the command that repeats it: in the
    environment variable ``CHANNELS_TEST_SEED`` it is the only one. Fixtures and ``setUp`` are called once for all.
    """

    def decorate(test: Test) -> Test:
        @functools.wraps(test)
        def repeated(*arguments: Any, **fixtures: Any) -> None:
            for seed in _seeds(count):
                with _named(seed, arguments), _rolled_back(), Scheduler(seed, **options) as scheduler:
                    test(*arguments, scheduler=scheduler, **fixtures)

        # pytest would look for a fixture of that name.
        signature = inspect.signature(test)
        others = [parameter for name, parameter in signature.parameters.items() if name != "scheduler"]
        repeated.__signature__ = signature.replace(parameters=others)  # type: ignore[attr-defined]
        return repeated

    return decorate


def _seeds(count: int) -> range:
    chosen = os.environ.get(SEED)
    if chosen is None:
        return range(count)
    if not chosen.isdecimal():
        raise ValueError(f"The environment variable {SEED} is {chosen!r}; expected a whole number, such as 17.")
    return range(int(chosen), int(chosen) + 1)


@contextlib.contextmanager
def _named(seed: int, arguments: tuple[Any, ...]) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        error.add_note(f"The schedule is repeated by:  {SEED}={seed} {_command(arguments)}")
        raise


def _command(arguments: tuple[Any, ...]) -> str:
    """Return the command that runs the test which is running."""
    running = os.environ.get("PYTEST_CURRENT_TEST")
    if running is not None:
        return f"python -m pytest {shlex.quote(running.rpartition(' ')[0])}"
    case = next((argument for argument in arguments if isinstance(argument, unittest.TestCase)), None)
    return f"python manage.py test {case.id()}" if case is not None else "python manage.py test"


@contextlib.contextmanager
def _rolled_back() -> Iterator[None]:
    """Undo at the end what is done in the databases whose transaction the test runs in."""
    with contextlib.ExitStack() as stack:
        for alias in connections:
            if connections[alias].in_atomic_block:
                waiting = list(connections[alias].run_on_commit)
                stack.callback(setattr, connections[alias], "run_on_commit", waiting)
                stack.enter_context(transaction.atomic(alias))
                stack.callback(transaction.set_rollback, True, alias)
        yield
