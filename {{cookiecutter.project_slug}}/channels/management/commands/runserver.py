"""``manage.py runserver``: daphne and worker threads in one process, with reload and static files."""

from __future__ import annotations

import os
from typing import Any

from daphne.management.commands.runserver import Command as DaphneCommand
from daphne.server import Server
from django.conf import settings
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.management.base import CommandError, CommandParser

from channels.asgi import get_channel_layer
from channels.exceptions import InvalidChannelLayerError
from channels.registry import DEFAULT_CHANNEL_LAYER, channel_layers
from channels.worker import WorkerGroup, embedded_workers, prepare_router

THREADS = 4


class CannotListen(Exception):
    """Is raised where daphne cannot listen."""


class DevelopmentServer(Server):
    """Daphne's server, which comes back as if it had run when it cannot listen: here it says why."""

    def listen_error(self, failure: Any) -> None:
        """Take note of the reason, and start nothing."""
        error = getattr(failure.value, "socketError", failure.value)
        self.reason = getattr(error, "strerror", None) or str(error)
        self.stop()

    def run(self) -> None:
        """Run the server. Raises ``CannotListen``."""
        super().run()
        if self.abort_start:
            raise CannotListen(self.reason)


class Command(DaphneCommand):
    """Runs daphne with the default channel layer, and workers beside it unless told otherwise."""

    server_cls = DevelopmentServer
    help = "Starts a development server: daphne as interface server, and worker threads."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add ``--noworker`` to the arguments of daphne's command."""
        super().add_arguments(parser)
        parser.add_argument(
            "--noworker",
            action="store_false",
            dest="run_worker",
            help="Run no workers in this process; start them with 'manage.py runworker'.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the server; without channel layers, Django's own."""
        self._use_asgi = options["use_asgi"] and DEFAULT_CHANNEL_LAYER in channel_layers
        try:
            if self._use_asgi:
                channel_layers[DEFAULT_CHANNEL_LAYER]
        except InvalidChannelLayerError as error:
            raise CommandError(str(error)) from error
        # daphne's command would insist on the setting ASGI_APPLICATION, which it is not going to need.
        super().handle(*args, **{**options, "use_asgi": False})

    def inner_run(self, *args: Any, **options: Any) -> None:
        """Start the workers, then daphne."""
        options["use_asgi"] = self._use_asgi
        workers = self._start_workers(options) if self._use_asgi else None
        problem = None
        try:
            super().inner_run(*args, **options)
        except CannotListen as error:
            problem = error
        finally:
            if workers is not None:
                workers.stop(drain=True, timeout=10)
        if problem is not None:
            self.stderr.write(
                f"This server cannot listen on {self.addr}:{self.port}: {problem}. Stop what listens there, "
                "or name another port, for example: manage.py runserver 8001"
            )
            self.stdout.flush()
            # With reload this is a thread, from which only the system can end the process.
            os._exit(1)

    def get_application(self, options: dict[str, Any]) -> Any:
        """Return the ASGI application of the default channel layer."""
        return get_channel_layer()

    def get_handler(self, *args: Any, **options: Any) -> Any:
        """Return what Django's own server serves: the views, and static files as its own command does."""
        handler = super().get_handler(*args, **options)
        return StaticFilesHandler(handler) if _serves_static(options) else handler

    def _start_workers(self, options: dict[str, Any]) -> WorkerGroup | None:
        layer = channel_layers[DEFAULT_CHANNEL_LAYER]
        if not options["run_worker"]:
            if not layer.spans_processes:
                self.stderr.write(
                    "The in-memory channel layer ends with this process: without workers in it, no page answers."
                )
            return None
        prepare_router(layer, serve_static=_serves_static(options))
        workers = embedded_workers(layer, THREADS if options.get("use_threading", True) else 1)
        workers.start()
        self.stdout.write(f"{len(workers.workers)} worker threads read {', '.join(workers.channels)}")
        return workers


def _serves_static(options: dict[str, Any]) -> bool:
    # The option is there if the app for static files is.
    return bool(options.get("use_static_handler") and (settings.DEBUG or options.get("insecure_serving")))
