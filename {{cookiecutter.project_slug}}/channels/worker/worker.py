"""
Run consumers: receive a message, find its consumer, run it, send what it has sent.

One guard stands around all of that: whatever a message does, it is logged and the worker goes on. A stop is
seen between messages only, so a message that has been taken is always finished.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import logging
import math
import random
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.conf import settings
from django.core.handlers.asgi import get_script_prefix
from django.urls import set_script_prefix

from ..exceptions import ChannelSocketException, ConsumeLater, DenyConnection, ResponseLater
from ..layers.base import Content
from ..layers.content import copy_received
from ..layers.sends import HeldSends
from ..message import Message
from ..routing import Match, describe
from ..signals import consumer_finished, consumer_started, worker_process_ready, worker_ready
from ..staticfiles import default_http_consumer
from ..values.patterns import filter_channels
from . import deadlines
from .contexts import new_context
from .database import close_old_connections
from .event_loop import run_beside_loop
from .outgoing import Outgoing
from .watchdog import RunningConsumer, report, watch

logger = logging.getLogger(__name__)

# The threads of a worker process, unless it is told otherwise: while one waits for the channel layer another one works.
THREADS = 2
# How often a message may be put back by ConsumeLater.
MESSAGE_RETRIES = 10
# What waits is finished before a stop for this time at most, in seconds: there may always be more of it.
DRAIN_TIMEOUT = 10.0
# A blocking receive comes back at least this often, in seconds.
RECEIVE_TIMEOUT = 10.0
# A consumer that runs longer than this, in seconds, is warned about; CHANNELS_SLOW_CONSUMER changes it.
SLOW_CONSUMER = 10.0
_RETRIES_KEY = "__retries__"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
# Workers that stop are woken again and again, after so many seconds.
_WAKE_INTERVAL = 0.1

Callback = Callable[[str, Message], None]


class Worker:
    """
    Reads the channels that the router of a layer knows, and runs their consumers one at a time.

    ``only_channels`` and ``exclude_channels`` are shell patterns that narrow the channels; ``callback`` is
    called with channel name and message before each consumer. The router should have its default routes:
    ``prepare_router`` adds them.
    """

    def __init__(
        self,
        channel_layer: Any,
        callback: Callback | None = None,
        message_retries: int = MESSAGE_RETRIES,
        only_channels: Iterable[str] | None = None,
        exclude_channels: Iterable[str] | None = None,
    ) -> None:
        self.channel_layer = channel_layer
        # The layer itself, without what the project's wrapper adds to it.
        self._layer = getattr(channel_layer, "channel_layer", channel_layer)
        self.callback = callback
        self.message_retries = message_retries
        self.channels = filter_channels(channel_layer.router.channels, only_channels, exclude_channels)
        # The consumer at work, for whoever looks from another thread.
        self.running: RunningConsumer | None = None
        # What consumers have sent, and the channel of the last message: both go into the layer with the next turn.
        self._outgoing = Outgoing(self._layer)
        self._finished = ""
        # Set while the layer answers this worker.
        self.reached = threading.Event()
        self._stop = threading.Event()
        self._drain = False

    def run(self) -> None:
        """Run consumers until ``stop``."""
        worker_ready.send(sender=self)
        pause = _FIRST_PAUSE
        while not self._stop.is_set():
            try:
                # A first turn, and one after a failure, does not wait: it shows whether the layer answers.
                self._turn_in_thread(self._patience() if self.reached.is_set() else 0.0)
                pause = _FIRST_PAUSE
            except Exception as error:
                self.reached.clear()
                self._layer.outage.goes_on(error)
                self._stop.wait(pause * random.uniform(0.5, 1))
                pause = min(pause * 2, _LONGEST_PAUSE)
        try:
            if self._drain:
                self._finish_what_waits()
        except Exception as error:
            text = "What waits in the channel layer could not be finished before the stop"
            self._layer.outage.hinders(error, text)
        try:
            self._leave()
        except Exception as error:
            text = "The worker has ended, and the channel layer could not be told of its last message"
            self._layer.outage.hinders(error, text)

    def _finish_what_waits(self) -> None:
        deadline = time.monotonic() + DRAIN_TIMEOUT
        while self._turn_in_thread():
            if time.monotonic() > deadline:
                logger.warning("The worker stops although messages still wait, after %s s", DRAIN_TIMEOUT)
                return

    def _leave(self) -> None:
        """Leave nothing behind that this worker has taken, and what it should have handled next to other workers."""
        with contextlib.ExitStack() as at_last:
            at_last.callback(self._layer.give_back)
            at_last.callback(self._send_all)
            self._send_outgoing()
            deadline = time.monotonic() + DRAIN_TIMEOUT
            while self._handle_due() and time.monotonic() < deadline:
                continue

    def _turn_in_thread(self, timeout: float = 0.0) -> bool:
        try:
            return self._turn(timeout)
        except (KeyboardInterrupt, SystemExit):
            # A consumer has raised it. That would end this thread, and nobody would replace it.
            if threading.current_thread() is threading.main_thread():
                raise
            return True

    def stop(self, drain: bool = False) -> None:
        """
        Make ``run`` end after the message it is working on.

        With ``drain``, when nothing more waits, or after ``DRAIN_TIMEOUT`` seconds.
        """
        self._drain = drain
        self._stop.set()
        self.channel_layer.interrupt()

    def step(self, block: bool = False) -> bool:
        """
        Receive one message, run its consumer and send what that has sent; return whether there was a message.

        ``block`` waits for one. What the consumer raises is logged; what the layer raises while a message is
        received comes out here.
        """
        received = self._turn(self._patience() if block else 0.0)
        self._send_all()
        return received

    def _turn(self, timeout: float) -> bool:
        """
        Handle what has waited elsewhere; then send what the last consumers have sent, receive a message and run its
        consumer. Return whether there was anything to handle.
        """
        have_waited = self._handle_due()
        channel, content = self._visit(self.channels, 0.0 if have_waited else timeout)
        if channel is None or content is None:
            return have_waited
        self._finished = channel
        self._handle(channel, content)
        return True

    def _handle_due(self) -> bool:
        """Do what is due now; handle the messages that this brings, one by one, and say whether there were any."""
        now, handled = time.monotonic(), False
        while deadlines.is_due(now):
            # Before another message is in hand.
            self._send_outgoing()
            waiting = deadlines.run_next()
            if waiting is not None:
                handled = True
                self._finished = waiting.waited_on
                self._handle(waiting.channel, waiting.content)
        return handled

    def _send_outgoing(self) -> None:
        if self._outgoing.has_new or self._finished:
            self._visit((), 0.0)

    def _send_all(self) -> None:
        """Send also what full channels have refused, and wait for room."""
        try:
            self._send_outgoing()
        finally:
            self._outgoing.settle()

    def _visit(self, channels: Sequence[str], timeout: float) -> tuple[str, Content] | tuple[None, None]:
        finished, self._finished = self._finished, ""
        received = self._outgoing.visit(channels, timeout, finished)
        if not self.reached.is_set():
            self.reached.set()
            self._layer.outage.is_over()
        return received

    def _patience(self) -> float:
        left = (deadlines.seconds_left(), self._outgoing.seconds_left())
        return min(RECEIVE_TIMEOUT, *(RECEIVE_TIMEOUT if seconds is None else seconds for seconds in left))

    def _handle(self, channel: str, content: Content) -> None:
        """
        Run the consumer of one message, in a context of its own.

        ``SystemExit`` and ``KeyboardInterrupt`` come out after its sends.
        """
        new_context().run(self._handle_here, channel, content)

    def _handle_here(self, channel: str, content: Content) -> None:
        try:
            _set_script_prefix(content)
            message = Message(content, channel, self.channel_layer)
            found = self.channel_layer.router.match(message)
            # The consumer may change the content, and ConsumeLater puts the message back as it was.
            original = copy_received(content)
        except Exception:
            logger.exception("A message on %s could not be routed and is dropped: %r", channel, list(content))
            return
        if found is None:
            self._count_unrouted(message)
            return
        try:
            self._consume(message, found, original)
        except BaseException:
            self._send_all()
            raise

    def _count_unrouted(self, message: Message) -> None:
        advice = f"No route matches, for example for path {message.get('path')!r}. Add one to the ROUTING."
        self.channel_layer.statistics.count_dropped(message.channel.name, "no route", advice)

    def _consume(self, message: Message, found: Match, original: Content) -> None:
        consumer, kwargs = found
        held = HeldSends()
        self.running = RunningConsumer(consumer, message)
        logger.debug("Running %s", self.running)
        try:
            with held:
                self._call_consumer(consumer, message, kwargs, held, original)
        finally:
            self._outgoing.take(held)
            self._do_after_sends(held, consumer, message)
            self.running = None

    def _call_consumer(
        self, consumer: Any, message: Message, kwargs: dict[str, Any], held: HeldSends, original: Content
    ) -> None:
        try:
            close_old_connections()
            consumer_started.send(sender=type(self), environ={}, message=message)
            if self.callback is not None:
                self.callback(message.channel.name, message)
            consumer(message, **kwargs)
        except DenyConnection:
            self._deny(message, held, consumer)
        except ChannelSocketException as error:
            self._guarded(functools.partial(error.run, message), consumer, message)
        except ConsumeLater:
            self._guarded(functools.partial(self._put_back, message, original), consumer, message)
        except BaseException as error:
            _log_failure(consumer, message)
            self._guarded(functools.partial(_answer_failure, message, held, error), consumer, message)
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
        finally:
            self._do_after_sends(held, consumer, message)
            self._announce_end(consumer, message)

    def _do_after_sends(self, held: HeldSends, consumer: Any, message: Message) -> None:
        """Do what waits for the consumer's sends, when they have left."""
        if held.waits:
            self._outgoing.take(held)
            self._outgoing.settle()
            for action in held.take_actions():
                self._guarded(action, consumer, message)

    def _announce_end(self, consumer: Any, message: Message) -> None:
        try:
            consumer_finished.send(sender=type(self), environ={}, message=message)
        except Exception:
            _log_failure(consumer, message, "After the consumer something failed")
        finally:
            # After everything else, for all of it may use the database.
            self._guarded(close_old_connections, consumer, message)

    def _deny(self, message: Message, held: HeldSends, consumer: Any) -> None:
        if message.channel.name != "websocket.connect" or message.reply_channel is None:
            _log_failure(consumer, message, "DenyConnection is for websocket.connect consumers; nothing is denied")
            return
        held.discard(message.reply_channel.name)
        message.reply_channel.send({"accept": False})

    def _put_back(self, message: Message, original: Content) -> None:
        retries = original.get(_RETRIES_KEY, 0)
        message.comes_again = retries < self.message_retries
        if not message.comes_again:
            advice = f"ConsumeLater was raised {retries + 1} times for the same message."
            self.channel_layer.statistics.count_dropped(message.channel.name, "consumed later too often", advice)
            return
        message.channel.send({**original, _RETRIES_KEY: retries + 1})

    def _guarded(self, action: Callable[[], Any], consumer: Any, message: Message) -> None:
        try:
            action()
        except Exception:
            _log_failure(consumer, message, "After the consumer something failed")


class WorkerGroup:
    """Several workers on one layer, each in a thread of its own. It takes the arguments of ``Worker``."""

    def __init__(self, channel_layer: Any, n_threads: int, **options: Any) -> None:
        self.channel_layer = channel_layer
        self.workers = [Worker(channel_layer, **options) for _ in range(n_threads)]
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._reporter = threading.Thread(target=report, args=(channel_layer, self.running, self._ended), daemon=True)
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


def prepare_router(channel_layer: Any, serve_static: bool | None = None) -> None:
    """Give the router of a layer the default routes: pages by Django's views, and sockets that are accepted."""
    channel_layer.router.check_default(default_http_consumer(serve_static))


def start_embedded_workers(channel_layer: Any, threads: int) -> WorkerGroup:
    """Start worker threads beside an interface server. Django must be set up."""
    prepare_router(channel_layer)
    group = WorkerGroup(channel_layer, threads)
    group.start()
    logger.info("%d worker threads read %s", threads, ", ".join(group.channels))
    return group


def _set_script_prefix(content: Content) -> None:
    """Have ``reverse`` give paths below the root path of the connection that a message came from, as in a view."""
    prefix = get_script_prefix(content)
    # A project may give the key another meaning in messages of its own.
    if prefix and isinstance(prefix, str):
        set_script_prefix(prefix)


def _log_failure(consumer: Any, message: Message, text: str = "A consumer failed") -> None:
    try:
        logger.exception("%s: %s with %r", text, describe(consumer), message)
    except Exception:
        # An exception whose own text cannot be made must not end the worker either.
        logger.error("%s: %s with %r, and its exception cannot be shown", text, describe(consumer), message)


def _answer_failure(message: Message, held: HeldSends, error: BaseException) -> None:
    """Do not let a client wait whose consumer failed before it had answered."""
    if isinstance(error, ResponseLater) or message.reply_channel is None or held.has(message.reply_channel.name):
        return
    if message.channel.name == "websocket.connect":
        message.reply_channel.send({"close": 1011})
    elif message.channel.name == "http.request":
        text = "".join(traceback.format_exception(error)) if settings.DEBUG else "Server error (500)\n"
        headers = [[b"content-type", b"text/plain; charset=utf-8"]]
        message.reply_channel.send({"status": 500, "headers": headers, "content": text.encode(errors="replace")})
