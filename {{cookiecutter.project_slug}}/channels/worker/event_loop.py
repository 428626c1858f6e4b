"""
Give a worker thread an event loop beside it, in which the asynchronous code that it calls runs.

All asynchronous code of one thread meets in one loop, as it does under Django's own ASGI handler: a view may begin what
the stream that it returns goes on with. Whatever that code calls by ``sync_to_async`` runs in the worker's thread.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from queue import SimpleQueue
from typing import Any

from asgiref.sync import sync_to_async


def run_beside_loop(run: Callable[[], None]) -> None:
    """Call ``run`` in this thread: ``async_to_sync`` finds the loop in it."""
    # asgiref names the class that it expects, and needs no more than the base of that.
    here: Any = _ThisThread()

    async def call() -> None:
        # Whatever else still runs in the loop ends with it.
        await sync_to_async(run, thread_sensitive=False, executor=here)()

    def run_loop() -> None:
        try:
            with asyncio.Runner() as runner:
                # First, or a loop that cannot be made would leave a call behind that nobody awaits.
                runner.get_loop()
                runner.run(call())
        except Exception as error:
            here.fail(error)

    # A daemon, as the workers are: one whose consumer never ends must not keep the process from that.
    threading.Thread(target=run_loop, name="loop", daemon=True).start()
    here.work()


class _ThisThread(Executor):
    """Runs one call in the thread that has made it."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._calls.put((future, functools.partial(function, *args, **kwargs)))
        return future

    def fail(self, error: Exception) -> None:
        """Have ``work`` raise an error, if it still waits."""

        def call() -> None:
            raise error

        self.submit(call)

    def work(self) -> None:
        """Wait for the call, and make it."""
        future, call = self._calls.get()
        try:
            call()
        finally:
            future.set_result(None)
