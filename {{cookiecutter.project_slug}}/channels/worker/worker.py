"""
Read channels and run their consumers.

A stop is seen between messages only, so a message that has been taken is always finished.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable

from ..layers.base import Delivery, UnderWay
from ..message import Message
from ..registry import ChannelLayerWrapper
from ..signals import worker_ready
from ..values.patterns import filter_channels
from ..values.pauses import Pauses
from .consumption import Consumption
from .contexts import new_context
from .outgoing import Outgoing
from .watchdog import RunningConsumer

logger = logging.getLogger(__name__)

# How often a message may be put back by ConsumeLater.
MESSAGE_RETRIES = 10
# What waits is finished before a stop for this time at most, in seconds: there may always be more of it.
DRAIN_TIMEOUT = 10.0
# A blocking receive comes back at least this often, in seconds.
RECEIVE_TIMEOUT = 10.0

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
        channel_layer: ChannelLayerWrapper,
        callback: Callback | None = None,
        message_retries: int = MESSAGE_RETRIES,
        only_channels: Iterable[str] | None = None,
        exclude_channels: Iterable[str] | None = None,
    ) -> None:
        self.channel_layer = channel_layer
        self.layer = channel_layer.channel_layer
        self.callback = callback
        self.message_retries = message_retries
        self.channels = filter_channels(channel_layer.router.channels, only_channels, exclude_channels)
        # The message at work, for whoever looks from another thread.
        self._consumption: Consumption | None = None
        # What consumers have sent, and the channel of the last message: both go into the layer with the next turn.
        self._outgoing = Outgoing(self.layer)
        self._finished = ""
        # Set while the layer answers this worker.
        self.reached = threading.Event()
        self._stop = threading.Event()
        self._drain = False

    @property
    def running(self) -> RunningConsumer | None:
        """The consumer at work, None if there is none."""
        consumption = self._consumption
        return consumption.running if consumption is not None else None

    def has(self) -> list[UnderWay]:
        """Return what it works on, and what is done while its connection could not be told so yet; for any thread."""
        running = self.running
        at_work = [running.under_way(time.monotonic())] if running is not None else []
        return at_work + self._outgoing.untold

    def run(self) -> None:
        """Run consumers until ``stop``."""
        worker_ready.send(sender=self)
        pauses = Pauses(0.05, 1.0)
        while not self._stop.is_set():
            try:
                # A first turn, and one after a failure, does not wait: it shows whether the layer answers.
                self._turn_in_thread(RECEIVE_TIMEOUT if self.reached.is_set() else 0.0)
                pauses.begin_anew()
            except Exception as error:
                self.reached.clear()
                self.layer.outage.goes_on(error)
                self._stop.wait(pauses.next())
        try:
            if self._drain:
                self._finish_what_waits()
        except Exception as error:
            text = "What waits in the channel layer could not be finished before the stop"
            self.layer.outage.hinders(error, text)
        try:
            self._leave()
        except Exception as error:
            text = "The worker has ended, and the channel layer could not be told of its last message"
            self.layer.outage.hinders(error, text)

    def _finish_what_waits(self) -> None:
        deadline = time.monotonic() + DRAIN_TIMEOUT
        while self._turn_in_thread(0.0):
            if time.monotonic() > deadline:
                logger.warning("The worker stops although messages still wait, after %s s", DRAIN_TIMEOUT)
                return

    def _leave(self) -> None:
        """Leave nothing behind that this worker has taken."""
        try:
            self._send_all()
        finally:
            self.layer.give_back()

    def _turn_in_thread(self, timeout: float) -> bool:
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
        self.layer.interrupt()

    def step(self, block: bool = False) -> bool:
        """
        Receive one message, run its consumer and send what that has sent; return whether there was a message.

        ``block`` waits for one. What the consumer raises is logged; what the layer raises while a message is
        received comes out here.
        """
        received = self._turn(RECEIVE_TIMEOUT if block else 0.0)
        self._send_all()
        return received

    def _turn(self, timeout: float) -> bool:
        """Send what the last consumer has sent, take a message and run its consumer; return whether there was one."""
        delivery = self._visit(self.channels, timeout)
        if delivery is None:
            return False
        self._finished = delivery.channel
        self._handle(delivery)
        return True

    def _handle(self, delivery: Delivery) -> None:
        """Run the consumer of a message, in a context of its own."""
        consumption = self._consumption = Consumption(self, delivery)
        try:
            new_context().run(consumption.run)
        except BaseException:
            self._outgoing.take(consumption.held)
            self._send_all()
            raise
        else:
            self._outgoing.take(consumption.held)
        finally:
            self._consumption = None

    def _send_all(self) -> None:
        """Send also what full channels have refused, and wait for room."""
        try:
            if self._outgoing.has_new or self._finished:
                self._visit((), 0.0)
        finally:
            self._outgoing.settle()

    def _visit(self, channels: list[str] | tuple[()], timeout: float) -> Delivery | None:
        finished, self._finished = self._finished, ""
        delivery = self._outgoing.visit(channels, timeout, finished)
        if not self.reached.is_set():
            self.reached.set()
            self.layer.outage.is_over()
        return delivery
