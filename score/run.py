"""Measure rows one after the other, and go on when one of them breaks."""

import contextlib
import signal
import time
from importlib import import_module

from .table import Outcome

# In seconds; a row that takes longer has failed.
LONGEST = 600
# What adds up the other rows comes after them.
LAST = "accounts.sum_up"


class RowTookTooLong(Exception):
    """Is raised in the middle of a row that does not end."""


def find(measure):
    """Return the function that ``module.function`` names in this package."""
    module, _, function = measure.partition(".")
    return getattr(import_module(f"{__package__}.{module}"), function)


def run(rows, chosen, session, tell, find=find):
    """
    Measure the rows whose ids are in ``chosen``; return an outcome for each of ``rows``, in their order.

    ``tell`` is called with a line of progress. Rows with the same measure share one run of it.
    """
    wanted = [row for row in rows if row.id in chosen and row.measure]
    outcomes = {}
    for measure in sorted(dict.fromkeys(row.measure for row in wanted), key=lambda measure: measure == LAST):
        sharing = [row for row in wanted if row.measure == measure]
        tell(f"{', '.join(row.id for row in sharing)}: {sharing[0].what}")
        figures, error, seconds = _measure(find(measure), session)
        for row in sharing:
            outcomes[row.id] = Outcome(row, figures, error, seconds if row is sharing[0] else None)
            tell(f"  {row.id} {outcomes[row.id].verdict}: {outcomes[row.id].result}")
    return [outcomes.get(row.id, Outcome(row)) for row in rows]


def _measure(function, session):
    """Return the figures, what went wrong, and how long it took."""
    started = time.monotonic()
    try:
        with _time_limit(LONGEST):
            figures, error = function(session), ""
    except Exception as failure:
        # The log of a server that has not started stands behind the first line.
        first_line = (str(failure).splitlines() or [""])[0]
        figures, error = None, f"{type(failure).__name__}: {first_line}"
    return figures, error, round(time.monotonic() - started, 1)


@contextlib.contextmanager
def _time_limit(seconds):
    def give_up(*_):
        raise RowTookTooLong(f"after {seconds} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
