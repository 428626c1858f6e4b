"""Time that passes when somebody says so, for a layer and for event loops."""

from __future__ import annotations

import asyncio
import math
import selectors
from collections.abc import Callable
from typing import Any


class VirtualClock:
    """A clock of seconds; it stands still until ``now`` is set."""

    def __init__(self) -> None:
        # No time that something has not happened at.
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now


class VirtualLoop(asyncio.SelectorEventLoop):
    """
    An event loop by a virtual clock, which runs for as long as there is something to do at that time.

    ``wakes_at`` is the time by that clock when there will be: the present or the past if there is now.
    """

    def __init__(self, clock: VirtualClock) -> None:
        self._seconds = clock
        self.wakes_at = -math.inf
        super().__init__(_Selector(self._rest))

    def time(self) -> float:
        """Return the seconds of the clock."""
        return self._seconds.now

    def run_until_idle(self) -> None:
        """Do everything that can be done before time passes."""
        self.run_forever()

    def run_in_executor(self, executor: Any, function: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Run a function at once: a thread would know nothing of virtual time."""
        done = self.create_future()
        done.set_result(function(*arguments))
        return done

    def call_soon(self, *arguments: Any, **options: Any) -> Any:  # type: ignore[override]
        """Take note that there is something to do."""
        self.wakes_at = -math.inf
        return super().call_soon(*arguments, **options)

    def call_soon_threadsafe(self, *arguments: Any, **options: Any) -> Any:  # type: ignore[override]
        """Take note that there is something to do."""
        self.wakes_at = -math.inf
        return super().call_soon_threadsafe(*arguments, **options)

    def _rest(self, seconds: float | None) -> None:
        self.stop()
        self.wakes_at = math.inf if seconds is None else self.time() + seconds


class _Selector(selectors.DefaultSelector):
    """Never waits, and says so when its loop would: for how many seconds, None for ever."""

    def __init__(self, rest: Callable[[float | None], None]) -> None:
        super().__init__()
        self._rest = rest

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready and timeout != 0:
            self._rest(timeout)
        return ready
