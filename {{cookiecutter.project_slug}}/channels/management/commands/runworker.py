"""``manage.py runworker``: workers alone, for a channel layer that spans processes."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from channels.asgi import channel_layers
from channels.channel import DEFAULT_CHANNEL_LAYER
from channels.exceptions import InvalidChannelLayerError
from channels.worker import WorkerGroup, prepare_router


class Command(BaseCommand):
    """Runs workers until SIGTERM or SIGINT; the messages in hand are finished first."""

    help = "Runs workers: the processes that run consumers."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the arguments."""
        parser.add_argument("--layer", default=DEFAULT_CHANNEL_LAYER, help="Alias of the channel layer to read from.")
        parser.add_argument("--threads", type=int, default=1, help="Number of worker threads in this process.")
        parser.add_argument(
            "--only-channels", action="append", metavar="PATTERN", help="Read only these channels; repeatable."
        )
        parser.add_argument(
            "--exclude-channels", action="append", metavar="PATTERN", help="Do not read these; repeatable."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the workers."""
        try:
            layer = channel_layers[options["layer"]]
        except InvalidChannelLayerError as error:
            raise CommandError(str(error)) from error
        if not layer.spans_processes:
            raise CommandError(
                "The in-memory channel layer cannot span processes, so workers of their own would never get a message. "
                "Use 'manage.py runserver', or set WORKER_THREADS to run workers beside the interface server.",
                returncode=2,
            )
        prepare_router(layer)
        group = WorkerGroup(
            layer,
            options["threads"],
            only_channels=options["only_channels"],
            exclude_channels=options["exclude_channels"],
        )
        if not group.channels:
            raise CommandError(
                f"No routed channel is left by these filters; routed are {', '.join(sorted(layer.router.channels))}."
            )
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        group.start()
        self.stdout.write(f"{options['threads']} worker thread(s) read {', '.join(group.channels)}")
        stopping.wait()
        group.stop()
