"""The worker threads of one process."""

from __future__ import annotations

import contextvars
import logging
import math
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Protocol

from django.apps import apps
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


class Beside(Protocol):
    """What can run beside workers, in a thread of its own."""

    def run(self) -> None:
        """Run until ``stop``."""

    def stop(self) -> None:
        """Make ``run`` end; may be called more than once."""


class WorkerGroup:
    """
    Several workers on one layer, each in a thread of its own. It takes the arguments of ``Worker``.

    What runs ``beside`` them is stopped when they have ended, for they may leave it something to do.
    """

    worker_class: ClassVar[type[Worker]] = Worker

    def __init__(
        self, channel_layer: ChannelLayerWrapper, n_threads: int, beside: Sequence[Beside] = (), **options: Any
    ) -> None:
        self.channel_layer = channel_layer
        self.workers = [self.worker_class(channel_layer, **options) for _ in range(n_threads)]
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._reporter = threading.Thread(
            target=report_running, args=(channel_layer.channel_layer, self.channels, self.has, self._ended), daemon=True
        )
        self._threads = [
            threading.Thread(target=run_beside_loop, args=(worker.run,), name=f"worker-{number}", daemon=True)
            for number, worker in enumerate(self.workers, 1)
        ]
        self._beside = {worker: threading.Thread(target=worker.run, daemon=True) for worker in beside}

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
        for thread in (*self._threads, *self._beside.values()):
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
        if not self._join(self._threads, deadline):
            return False
        for worker in self._beside:
            worker.stop()
        if not self._join(self._beside.values(), deadline):
            return False
        self._ended.set()
        self._reporter.join(None if timeout is None else max(0.0, deadline - time.monotonic()))
        return not self._reporter.is_alive()

    def _join(self, threads: Iterable[threading.Thread], deadline: float) -> bool:
        for thread in threads:
            while thread.is_alive() and (left := deadline - time.monotonic()) > 0:
                # A worker that was just about to wait for a message has not heard of the stop.
                self.channel_layer.interrupt()
                thread.join(min(left, _WAKE_INTERVAL))
        return not any(thread.is_alive() for thread in threads)

    def running(self) -> list[RunningConsumer | None]:
        """Return what each worker is at, None for one that waits."""
        return [worker.running for worker in self.workers]

    def has(self) -> list[UnderWay]:
        """Return the messages that the workers have."""
        return [message for worker in self.workers for message in worker.has()]


def prepare_router(channel_layer: ChannelLayerWrapper, serve_static: bool | None = None) -> None:
    """Give the router of a layer the default routes: pages by Django's views, and sockets that are accepted."""
    channel_layer.router.check_default(default_http_consumer(serve_static))


def embedded_workers(channel_layer: ChannelLayerWrapper, threads: int) -> WorkerGroup:
    """Return worker threads for a process that serves, too. Where ``channels.delay`` is installed it runs with them."""
    beside: list[Beside] = []
    if apps.is_installed("channels.delay"):
        # Its model needs the apps.
        from ..delay.worker import DelayWorker

        beside.append(DelayWorker(channel_layer))
    return WorkerGroup(channel_layer, threads, beside)


def start_embedded_workers(channel_layer: ChannelLayerWrapper, threads: int) -> WorkerGroup:
    """Start worker threads beside an interface server. Django must be set up."""
    prepare_router(channel_layer)
    group = embedded_workers(channel_layer, threads)
    group.start()
    logger.info("%d worker threads read %s", threads, ", ".join(group.channels))
    return group
