"""``manage.py runworker``: workers alone, for a channel layer that spans processes."""

from __future__ import annotations

import argparse
import atexit
import logging
import os
import signal
import sys
import threading
import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import autoreload

from channels.exceptions import InvalidChannelLayerError
from channels.registry import DEFAULT_CHANNEL_LAYER, ChannelLayerWrapper, channel_layers
from channels.values.patterns import filter_channels, idle_patterns
from channels.worker import THREADS, WorkerGroup, prepare_router
from channels.worker.signal_pipe import SignalPipe
from channels.worker.supervisor import READY_VARIABLE, STOP_TIMEOUT, Supervisor, child_command, tell_ready

# Windows has none.
_HAS_SIGHUP = hasattr(signal, "SIGHUP")
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, *([signal.SIGHUP] if _HAS_SIGHUP else []))


class Command(BaseCommand):
    """Runs workers until SIGTERM, SIGINT or SIGHUP; the messages in hand are finished first."""

    help = "Runs workers: the processes that run consumers."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the arguments."""
        parser.add_argument("--layer", default=DEFAULT_CHANNEL_LAYER, help="Alias of the channel layer to read from.")
        parser.add_argument(
            "--threads", type=_number, default=THREADS, help=f"Worker threads in each process ({THREADS})."
        )
        parser.add_argument(
            "--processes", type=_number, default=1, help="Number of processes (1); SIGHUP replaces them."
        )
        parser.add_argument(
            "--only-channels", action="append", metavar="PATTERN", help="Read only these channels; repeatable."
        )
        parser.add_argument(
            "--exclude-channels", action="append", metavar="PATTERN", help="Do not read these; repeatable."
        )
        parser.add_argument("--reload", action="store_true", help="Start anew when code changes; for development.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the workers, here or in processes of their own."""
        if options["verbosity"] > 1:
            log_all()
        instead = "Use 'manage.py runserver', or set WORKER_THREADS to run workers beside the interface server."
        layer = shared_layer(options["layer"], "workers of their own", instead)
        self._channels(layer, options)
        if options["processes"] > 1 and options["reload"]:
            raise CommandError("--reload is for development and goes with one process; leave out --processes.")
        if options["processes"] > 1 and not _HAS_SIGHUP:
            raise CommandError(
                "--processes needs the signals of a POSIX system, which this one does not have. "
                "Start 'manage.py runworker' several times instead."
            )
        if options["processes"] > 1:
            sys.exit(Supervisor(child_command(), options["processes"]).run())
        if options["reload"]:
            autoreload.run_with_reloader(self._run_reloaded, layer, options)
        else:
            self._run(layer, options)

    def _channels(self, layer: ChannelLayerWrapper, options: dict[str, Any]) -> None:
        """Refuse filters that leave nothing to read."""
        prepare_router(layer)
        routed = layer.router.channels
        if not filter_channels(routed, options["only_channels"], options["exclude_channels"]):
            raise CommandError(f"These filters leave no channel; routed are {', '.join(sorted(routed))}.")

    def _run(self, layer: ChannelLayerWrapper, options: dict[str, Any]) -> None:
        signals = SignalPipe(*STOP_SIGNALS)
        # A terminal, and some hosts, tell every process to stop: then its parent tells it once more. When to give up
        # is for the parent to say.
        obeys_second_signal = READY_VARIABLE not in os.environ
        group = self._start(layer, options)
        while not signals.wait():
            continue
        group.begin_stop()
        deadline = time.monotonic() + STOP_TIMEOUT
        while not group.join(timeout=0.1):
            if (signals.wait(timeout=0) and obeys_second_signal) or time.monotonic() > deadline:
                running = [str(consumer) for consumer in group.running() if consumer is not None]
                waiting = "; ".join(running) or "an answer of the channel layer"
                self.stderr.write(f"Stopped without waiting any longer for {waiting}")
                self.stderr.flush()
                # The threads cannot be ended from here, and Python would wait for what they hold.
                os._exit(1)

    def _run_reloaded(self, layer: ChannelLayerWrapper, options: dict[str, Any]) -> None:
        group = self._start(layer, options)
        # The reloader ends the process; what the workers are at should end first.
        atexit.register(group.stop, timeout=STOP_TIMEOUT)
        group.join()

    def _start(self, layer: ChannelLayerWrapper, options: dict[str, Any]) -> WorkerGroup:
        group = WorkerGroup(
            layer,
            options["threads"],
            only_channels=options["only_channels"],
            exclude_channels=options["exclude_channels"],
        )
        group.start()
        self._introduce(layer, group, options)
        threading.Thread(target=_tell_when_ready, args=(group,), daemon=True).start()
        return group

    def _introduce(self, layer: ChannelLayerWrapper, group: WorkerGroup, options: dict[str, Any]) -> None:
        databases = ", ".join(settings.DATABASES) or "none"
        routed = layer.router.channels
        unread = sorted(routed - set(group.channels))
        patterns = [*(options["only_channels"] or []), *(options["exclude_channels"] or [])]
        self.stdout.write(
            f"Worker process {os.getpid()} on channel layer {layer.alias} ({type(layer.channel_layer).__name__})"
        )
        self.stdout.write(f"  channels: {', '.join(group.channels)}")
        if unread:
            self.stdout.write(f"  not read here, so another worker must: {', '.join(unread)}")
        if idle := idle_patterns(routed, patterns):
            self.stdout.write(f"  these patterns match no routed channel, are they misspelt? {', '.join(idle)}")
        self.stdout.write(
            f"  {options['threads']} thread(s), each with up to one connection to these databases: {databases}"
        )
        self.stdout.flush()


def shared_layer(alias: str, who: str, instead: str) -> ChannelLayerWrapper:
    """Return a layer that processes of their own can share. Raises ``CommandError`` for any other."""
    try:
        layer = channel_layers[alias]
    except InvalidChannelLayerError as error:
        raise CommandError(str(error)) from error
    if not layer.spans_processes:
        text = f"The in-memory channel layer cannot span processes, so {who} would never get a message. {instead}"
        raise CommandError(text, returncode=2)
    return layer


def log_all() -> None:
    """Log what each message goes through, also where the site's LOGGING says nothing of it."""
    logger = logging.getLogger("channels")
    logger.setLevel(logging.DEBUG)
    if not logger.hasHandlers():
        logger.addHandler(logging.StreamHandler())


def _tell_when_ready(group: WorkerGroup) -> None:
    # Each worker has a connection of its own to the same store, so one of them is enough.
    group.workers[0].reached.wait()
    tell_ready()


def _number(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1 is needed.")
    return number
