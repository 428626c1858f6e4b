"""Tests of the interface server may be coroutines: each runs on an event loop with simulated time."""

import asyncio
import inspect
import signal

import pytest

from .simulated_time import SimulatedLoop


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    if not inspect.iscoroutinefunction(pyfuncitem.function):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in inspect.signature(pyfuncitem.function).parameters}
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        try:
            runner.run(pyfuncitem.function(**arguments))
        finally:
            runner.run(_end_all_tasks())
    return True


async def _end_all_tasks():
    """End what a test has left open; a connection that is cancelled reports its end, by another task."""
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        for task in others:
            task.cancel()
        await asyncio.wait(others)


@pytest.fixture(autouse=True)
def signal_handlers():
    """Each interface server listens to signals: leave the test run's own handlers as they were."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
