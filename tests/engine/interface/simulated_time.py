"""An event loop whose clock stands still while there is something to do, and else jumps to the next timer."""

import asyncio
import selectors

LONGEST_TEST = 3600.0


class SimulatedLoop(asyncio.SelectorEventLoop):
    """Runs a test of minutes in no time, and always in the same order."""

    def __init__(self):
        super().__init__(_Selector(self))
        self._now = 0.0

    def time(self):
        return self._now

    def pass_time(self, seconds):
        assert seconds is not None, "The test waits for something that can never happen."
        self._now += seconds
        assert self._now < LONGEST_TEST, "The test waits for something that has not happened within an hour."

    def run_in_executor(self, executor, function, *arguments):
        # A thread knows nothing of simulated time: what would run in one runs at once.
        done = self.create_future()
        done.set_result(function(*arguments))
        return done


class _Selector(selectors.DefaultSelector):
    def __init__(self, loop):
        super().__init__()
        self._loop = loop

    def select(self, timeout=None):
        ready = super().select(0)
        if not ready and timeout != 0:
            self._loop.pass_time(timeout)
        return ready


async def longest_pause(is_done):
    """Return for how long somebody has kept the loop at most, in simulated seconds, until something is done."""
    loop = asyncio.get_running_loop()
    longest, before = 0.0, loop.time()
    for _ in range(100_000):
        await asyncio.sleep(0)
        longest, before = max(longest, loop.time() - before), loop.time()
        if is_done():
            return longest
    raise AssertionError("The test waits for something that does not happen in any turn of the loop.")


async def settle():
    """Let everything happen that can happen now: the clock moves only when there is nothing left."""
    await asyncio.sleep(0.001)
