"""The worker threads of one process."""

from __future__ import annotations

import contextvars
import logging
import math
import threading
import time
from collections.abc import Sequence
from typing import Any, ClassVar

from django.conf import settings

from ..layers.base import UnderWay
from ..registry import ChannelLayerWrapper
from ..signals import worker_process_ready
from ..staticfiles import default_http_consumer
from .event_loop import run_beside_loop
from .watchdog import RunningConsumer, report_running, watch
from .worker import Worker

logger = logging.getLogger(__name__)

# The threads of a worker process, unless it is told otherwise: while one waits for the channel layer another one works.
THREADS = 2
# A consumer that runs longer than this, in seconds, is warned about; CHANNELS_SLOW_CONSUMER changes it.
SLOW_CONSUMER = 10.0
# Workers that stop are woken again and again, after so many seconds.
_WAKE_INTERVAL = 0.1


class WorkerGroup:
    """Several workers on one layer, each in a thread of its own. It takes the arguments of ``Worker``."""

    worker_class: ClassVar[type[Worker]] = Worker

    def __init__(self, channel_layer: ChannelLayerWrapper, n_threads: int, **options: Any) -> None:
        self.channel_layer = channel_layer
        self.workers = [self.worker_class(channel_layer, **options) for _ in range(n_threads)]
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._reporter = threading.Thread(
            target=report_running, args=(channel_layer.channel_layer, self.has, self._ended), daemon=True
        )
        self._threads = [
            threading.Thread(target=run_beside_loop, args=(worker.run,), name=f"worker-{number}", daemon=True)
            for number, worker in enumerate(self.workers, 1)
        ]

    @property
    def channels(self) -> Sequence[str]:
        """The channels that the workers read."""
        return self.workers[0].channels

    def start(self) -> None:
        """Start the threads."""
        worker_process_ready.send(sender=self)
        # An interface server starts them with its first connection; they shall carry nothing of that.
        contextvars.Context().run(self._start_threads)

    def _start_threads(self) -> None:
        for thread in self._threads:
            thread.start()
        limit = getattr(settings, "CHANNELS_SLOW_CONSUMER", SLOW_CONSUMER)
        threading.Thread(target=watch, args=(self.running, limit, self._stopping), daemon=True).start()
        self._reporter.start()

    def begin_stop(self, drain: bool = False) -> None:
        """Have each worker finish its message, with ``drain`` also those that wait, and end."""
        self._stopping.set()
        for worker in self.workers:
            worker.stop(drain)

    def stop(self, drain: bool = False, timeout: float | None = None) -> bool:
        """
        Do so, and wait for the end of the threads.

        Returns after ``timeout`` seconds at the latest, and whether all of them have ended.
        """
        self.begin_stop(drain)
        return self.join(timeout)

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the end of stopped threads, ``timeout`` seconds at most; return whether all have ended."""
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        for thread in self._threads:
            while thread.is_alive() and (left := deadline - time.monotonic()) > 0:
                # A worker that was just about to wait for a message has not heard of the stop.
                self.channel_layer.interrupt()
                thread.join(min(left, _WAKE_INTERVAL))
        if any(thread.is_alive() for thread in self._threads):
            return False
        self._ended.set()
        self._reporter.join(None if timeout is None else max(0.0, deadline - time.monotonic()))
        return not self._reporter.is_alive()

    def running(self) -> list[RunningConsumer | None]:
        """Return what each worker is at, None for one that waits."""
        return [worker.running for worker in self.workers]

    def has(self) -> list[UnderWay]:
        """Return the messages that the workers have."""
        return [message for worker in self.workers for message in worker.has()]


def prepare_router(channel_layer: ChannelLayerWrapper, serve_static: bool | None = None) -> None:
    """Give the router of a layer the default routes: pages by Django's views, and sockets that are accepted."""
    channel_layer.router.check_default(default_http_consumer(serve_static))


def start_embedded_workers(channel_layer: ChannelLayerWrapper, threads: int) -> WorkerGroup:
    """Start worker threads beside an interface server. Django must be set up."""
    prepare_router(channel_layer)
    group = WorkerGroup(channel_layer, threads)
    group.start()
    logger.info("%d worker threads read %s", threads, ", ".join(group.channels))
    return group
