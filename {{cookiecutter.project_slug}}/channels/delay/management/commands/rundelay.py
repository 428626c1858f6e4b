"""``manage.py rundelay``: keeps the messages that are to be sent later, and sends those that are due."""

from __future__ import annotations

import argparse
import math
import os
import threading
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error, connections, router

from channels.delay.models import DelayedMessage
from channels.delay.worker import SLEEP, DelayWorker
from channels.management.commands.runworker import STOP_SIGNALS, log_all, shared_layer
from channels.registry import DEFAULT_CHANNEL_LAYER
from channels.values.delays import CHANNEL
from channels.worker.signal_pipe import SignalPipe
from channels.worker.supervisor import STOP_TIMEOUT


class Command(BaseCommand):
    """Runs until SIGTERM, SIGINT or SIGHUP; what is being sent, and what waits to be stored, is finished first."""

    help = "Sends delayed messages when they are due. Several processes may share the work."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the arguments."""
        parser.add_argument("--layer", default=DEFAULT_CHANNEL_LAYER, help="Alias of the channel layer.")
        parser.add_argument(
            "--sleep",
            type=_seconds,
            default=SLEEP,
            metavar="SECONDS",
            help=f"Look at least this often for messages that other processes have stored ({SLEEP:g}).",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the worker in a thread, and wait for the signal to stop."""
        if options["verbosity"] > 1:
            log_all()
        instead = "'manage.py runserver', and a server with WORKER_THREADS, send delayed messages themselves."
        layer = shared_layer(options["layer"], "a process of its own", instead)
        self._require_table()
        signals = SignalPipe(*STOP_SIGNALS)
        worker = DelayWorker(layer, options["sleep"])
        thread = threading.Thread(target=worker.run, name="delay", daemon=True)
        thread.start()
        self.stdout.write(
            f"Delay process {os.getpid()} on channel layer {layer.alias} ({type(layer.channel_layer).__name__}), "
            f"which stores what comes on {CHANNEL} and sends it when it is due"
        )
        self.stdout.flush()
        while not signals.wait():
            continue
        deadline = time.monotonic() + STOP_TIMEOUT
        while thread.is_alive():
            # Again and again: it may have been just about to wait for a message.
            worker.stop()
            thread.join(timeout=0.1)
            if signals.wait(timeout=0) or time.monotonic() > deadline:
                self.stderr.write("Stopped without waiting any longer for the channel layer or the database")
                self.stderr.flush()
                os._exit(1)

    def _require_table(self) -> None:
        alias, table = router.db_for_write(DelayedMessage), DelayedMessage._meta.db_table
        try:
            is_there = table in connections[alias].introspection.table_names()
        except Error:
            # A database that is away is waited for, as later on.
            is_there = True
        finally:
            connections[alias].close()
        if not is_there:
            raise CommandError(f"The database {alias!r} has no table {table!r}. Run 'manage.py migrate' first.")


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError("a number of seconds above zero is needed.")
    return seconds
