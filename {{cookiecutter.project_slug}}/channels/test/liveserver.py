"""A whole site for tests with a browser: interface server and workers as threads, on layers in memory."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from django.apps import apps
from django.conf import settings
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import TransactionTestCase, modify_settings

from ..handler import ViewConsumer
from ..interface.application import InterfaceApplication
from ..interface.limits import Limits
from ..registry import DEFAULT_CHANNEL_LAYER, ChannelLayerWrapper, channel_layers
from ..routing import Router
from ..staticfiles import StaticFilesConsumer
from ..worker import Worker, WorkerGroup
from .cases import ChannelTestCaseMixin, memory_layers
from .daphne_thread import daphne_thread

# When a test ends, requests that are being answered have so long to end, in seconds; then so do the consumers.
GRACE = 1.0
WORKERS_TIMEOUT = 10.0
# All of it ends within this time, or the test fails.
STOP_TIMEOUT = GRACE + WORKERS_TIMEOUT + 5.0


class LiveLayer(ChannelLayerWrapper):
    """A layer whose router serves pages and static files, too, as that of ``runserver`` does."""

    serve_static = True

    def make_router(self) -> Router:
        router = super().make_router()
        static = self.serve_static and apps.is_installed("django.contrib.staticfiles")
        # New ones, since they load the middleware of the settings once.
        router.check_default(StaticFilesConsumer() if static else ViewConsumer())
        return router


class LiveLayerWithoutStatic(LiveLayer):
    """The same without static files."""

    serve_static = False


def live_layers(aliases: Iterable[str], serve_static: bool = True) -> contextlib.AbstractContextManager[None]:
    """Put fresh layers in memory in place, as a live server needs them."""
    return memory_layers(aliases, LiveLayer if serve_static else LiveLayerWithoutStatic)


class LiveServer:
    """
    Daphne and workers in threads, for as long as a ``with`` block runs; ``live_layers`` have to be in place.

    ``url`` and ``ws_url`` are where it is. The workers share the connections to databases in memory with the thread of
    the test, as in Django's own ``LiveServerTestCase``; to others they have their own. Leaving it raises
    ``AssertionError`` if something does not come to an end.
    """

    def __init__(
        self,
        host: str = "localhost",
        aliases: Iterable[str] = (DEFAULT_CHANNEL_LAYER,),
        worker_threads: int = 1,
    ) -> None:
        self._host = host
        self._aliases = list(aliases)
        self._worker_threads = worker_threads
        self._shared: dict[str, BaseDatabaseWrapper] = {}
        self._workers: _Workers | None = None
        self._application: InterfaceApplication | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Where the pages are: ``http://host:port``."""
        return f"http://{self._host}:{self._port}"

    @property
    def ws_url(self) -> str:
        """Where the sockets are: ``ws://host:port``."""
        return f"ws://{self._host}:{self._port}"

    def __enter__(self) -> LiveServer:
        daphne = daphne_thread()
        self._port = daphne.listen(self._host)
        self._shared = {each.alias: each for each in connections.all() if _is_in_memory(each)}
        for connection in self._shared.values():
            connection.inc_thread_sharing()
        layer = channel_layers[DEFAULT_CHANNEL_LAYER].channel_layer
        limits = dataclasses.replace(Limits.from_settings(settings), stop_grace=GRACE)
        script_name = settings.FORCE_SCRIPT_NAME or ""
        self._application = InterfaceApplication(layer, limits, self._start_workers, script_name)
        daphne.run(self._begin(self._application), STOP_TIMEOUT)
        daphne.application = self._application
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End all of it; nothing happens if that is done. Raises ``AssertionError`` if something does not end."""
        application, self._application = self._application, None
        if application is None:
            return
        daphne = daphne_thread()
        daphne.application = None
        try:
            daphne.run(self._end(application), STOP_TIMEOUT)
            left = self._workers.still_running if self._workers else []
        except TimeoutError:
            left = self._workers.running() if self._workers else []
            left = left or ["a connection"]
        finally:
            for connection in self._shared.values():
                connection.dec_thread_sharing()
        if left:
            raise AssertionError(
                "The live server does not come to an end after the test: still running is "
                f"{', '.join(left)}. Whatever it waits for has to come before the test ends."
            )

    async def _begin(self, application: InterfaceApplication) -> None:
        application.process()

    async def _end(self, application: InterfaceApplication) -> None:
        await application.process().stop()

    def _start_workers(self) -> _Workers:
        self._workers = _Workers(self._aliases, self._worker_threads, self._shared)
        return self._workers


class _Workers:
    """The worker threads, on the layers of some aliases."""

    def __init__(self, aliases: Iterable[str], threads: int, shared: Mapping[str, BaseDatabaseWrapper]) -> None:
        self.still_running: list[str] = []
        self._groups = [_LiveWorkerGroup(channel_layers[alias], threads, shared=shared) for alias in aliases]
        for group in self._groups:
            group.start()

    def stop(self, drain: bool) -> None:
        """Finish what waits, and end the threads, if they do so in time."""
        deadline = time.monotonic() + WORKERS_TIMEOUT
        for group in self._groups:
            group.begin_stop(drain)
        ended = [group.join(max(0.0, deadline - time.monotonic())) for group in self._groups]
        if not all(ended):
            self.still_running = self.running() or ["a worker"]

    def running(self) -> list[str]:
        """Return what the workers are at."""
        return [str(running) for group in self._groups for running in group.running() if running is not None]


class _LiveWorker(Worker):
    """A worker that shares the test's connections to databases in memory, and closes its own ones at its end."""

    def __init__(self, channel_layer: ChannelLayerWrapper, shared: Mapping[str, BaseDatabaseWrapper]) -> None:
        super().__init__(channel_layer)
        self._shared = shared

    def run(self) -> None:
        for alias, connection in self._shared.items():
            connections[alias] = connection
        try:
            super().run()
        finally:
            for connection in connections.all(initialized_only=True):
                if connection.alias not in self._shared:
                    connection.close()


class _LiveWorkerGroup(WorkerGroup):
    worker_class = _LiveWorker


class ChannelLiveServerTestCase(ChannelTestCaseMixin, TransactionTestCase):
    """
    Runs the whole site for each test: ``live_server_url`` and ``live_server_ws_url`` are where a browser finds it.

    ``host`` is what it listens on, ``worker_threads`` how many consumers run at a time, and ``serve_static`` whether
    static files are served as by ``runserver``.
    """

    host: ClassVar[str] = "localhost"
    worker_threads: ClassVar[int] = 1
    serve_static: ClassVar[bool] = True

    @classmethod
    def setUpClass(cls) -> None:
        """Allow the host."""
        super().setUpClass()
        cls.enterClassContext(modify_settings(ALLOWED_HOSTS={"append": cls.host}))

    @property
    def live_server_url(self) -> str:
        """Where the pages are: ``http://host:port``."""
        return self._live_server.url

    @property
    def live_server_ws_url(self) -> str:
        """Where the sockets are: ``ws://host:port``."""
        return self._live_server.ws_url

    @classmethod
    def _make_layers(cls) -> contextlib.AbstractContextManager[None]:
        return live_layers(cls.test_channel_aliases, cls.serve_static)

    @contextlib.contextmanager
    def _surroundings(self) -> Iterator[None]:
        self._live_server = LiveServer(self.host, self.test_channel_aliases, self.worker_threads)
        # After the test's own cleanups, and before the database is cleared.
        self.addCleanup(self._live_server.stop)
        with super()._surroundings(), self._live_server:
            yield


def _is_in_memory(connection: Any) -> bool:
    return bool(connection.vendor == "sqlite" and connection.is_in_memory_db())
