"""Imaginary workers: they do what the engine's own do, and can be stopped and killed in between."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

from ..layers.base import Delivery, Ticket
from ..registry import ChannelLayerWrapper
from ..worker import Worker
from ..worker.consumption import Consumption
from ..worker.contexts import new_context
from ..worker.outgoing import Outgoing
from .interruptions import Killed, Work
from .lossy import LossyLayer
from .steps import Step


class Director(Protocol):
    """Who has workers do their steps: the scheduler."""

    layer: LossyLayer

    @property
    def wrapper(self) -> ChannelLayerWrapper:
        """The layer as the site knows it."""

    def submit(self, work: Work, action: Callable[[], Any]) -> None:
        """Have something done in a thread of workers."""

    def describe(self, delivery: Delivery) -> str:
        """Say which message this is, and of which socket."""

    def tell(self, what: str) -> None:
        """Add a line to the story."""


class ImaginaryWorker:
    """A worker process with one thread. When it is killed, another one takes its place at once."""

    def __init__(self, name: str, director: Director) -> None:
        self.name = name
        self._director = director
        self._layer = director.layer
        self._worker = Worker(director.wrapper)
        self.channels = self._worker.channels
        self._outgoing = Outgoing(self._layer)
        self._work: Work | None = None
        self._delivery: Delivery | None = None
        self._consumption: Consumption | None = None
        # What its message is called.
        self._of = ""

    @property
    def is_idle(self) -> bool:
        """Whether it may take a message."""
        return self._work is None

    @property
    def tries_again_in(self) -> float:
        """In how many seconds it tries again what full channels have refused."""
        return self._outgoing.limited(math.inf)

    @property
    def is_at_rest(self) -> bool:
        """Whether it has neither a message nor anything to be sent."""
        return self.is_idle and self.tries_again_in == math.inf

    def steps(self) -> list[Step]:
        """Return what it could do next, apart from taking a message."""
        if self._work is not None:
            return [Step(self.name, f"{self._work.before}, {self._of}", self._go_on)]
        if self.tries_again_in <= 0:
            return [Step(self.name, "sends what was refused", lambda: self._outgoing.visit((), 0.0, ""))]
        return []

    def take_from(self, channel: str) -> Step:
        """Return the step of taking a message from a channel."""
        return Step(self.name, f"takes from {channel}", lambda: self._take(channel))

    def end(self) -> Work | None:
        """Stop what it does, and return that: it may take a moment to end."""
        if self._work is not None:
            self._work.kill()
        return self._work

    def _take(self, channel: str) -> None:
        delivery = self._outgoing.visit((channel,), 0.0, "")
        if delivery is not None:
            self._delivery = delivery
            self._of = self._director.describe(delivery)
            self._work = Work(f"{self.name} with {self._of}")
            self._work.before = "runs the consumer"
            self._director.submit(self._work, self._consume)

    def _consume(self) -> None:
        """Run the consumer, in its thread, as a worker does."""
        work, delivery = self._work, self._delivery
        assert work is not None and delivery is not None
        consumption = Consumption(self._worker, delivery)
        try:
            new_context().run(consumption.run)
        except Killed:
            raise
        except (KeyboardInterrupt, SystemExit):
            # A worker thread goes on after what a consumer has raised.
            pass
        self._consumption = consumption
        work.pause("sends what it has to send")

    def _go_on(self) -> None:
        work = self._work
        assert work is not None
        if self._layer.happens(self._layer.losses.killed):
            self._die(work)
        elif self._consumption is not None:
            self._finish(self._consumption)
        else:
            work.go_on()

    def _finish(self, consumption: Consumption) -> None:
        assert self._work is not None and self._delivery is not None
        self._work.go_on()
        self._outgoing.take(consumption.held)
        self._outgoing.visit((), 0.0, self._delivery.channel)
        self._forget()

    def _die(self, work: Work) -> None:
        """Be killed with the message in hand; some of what the consumer has sent may have left, from the first on."""
        self._director.tell(f"{self.name} is killed")
        untold = self._outgoing.untold
        if self._consumption is not None:
            self._outgoing.take(self._consumption.held)
            with self._layer.cut_off():
                self._outgoing.visit((), 0.0, "")
        work.kill()
        work.wait()
        if self._delivery is not None:
            self._layer.forget(self._delivery)
        for message in untold:
            # Done long ago, but a full channel has not let its connection be told so.
            content = {"reply_channel": message.reply_channel}
            self._layer.forget(Delivery(message.channel, content, Ticket(message.number)))
        self._outgoing = Outgoing(self._layer)
        self._forget()

    def _forget(self) -> None:
        self._work = self._delivery = self._consumption = None
