"""
Run a site's consumers in any order that is possible in production, in virtual time.

Everything happens in steps: a frame of a browser arrives, an interface server reads its queue, a worker takes a
message, goes on to its next query, sends. Of what could happen next, chance chooses one, always the same for the same
seed.
"""

from __future__ import annotations

import contextlib
import logging
import math
import random
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.conf import settings

from ..interface.limits import Limits
from ..layers.base import Delivery
from ..registry import DEFAULT_CHANNEL_LAYER, ChannelLayerWrapper, channel_layers
from ..signals import consumer_finished
from ..worker import prepare_router
from ..worker.consumption import Consumption
from .browsers import Header, Server, Socket, scope_of
from .interruptions import SharedDatabases, Work, hide_killed, is_worker
from .later import Later
from .lossy import NO_LOSSES, Losses, LossyLayer
from .steps import Choose, Step
from .virtual_time import VirtualClock
from .workers import ImaginaryWorker

# A site that has not come to rest after so many steps never will.
MOST_STEPS = 100_000
# So much of what has happened is told when a test fails.
TOLD_STEPS = 60
# What of a layer's configuration holds for the scheduler's as well.
_OPTIONS = ("expiry", "group_expiry", "capacity", "channel_capacity", "max_message_size")


class Scheduler:
    """
    A site with imaginary browsers, ``servers`` interface servers and ``workers`` worker processes, for a ``with``.

    Inside it the layer of ``alias`` is one in memory with the configuration of the site's own, changed by
    ``layer_options``; its routing is the site's, or ``routing``. ``losses`` says what goes wrong. ``choose`` takes the
    place of chance: a function that gets a list of steps, whose texts say what they are, and returns one of them.
    """

    def __init__(
        self,
        seed: int = 0,
        workers: int = 2,
        servers: int = 1,
        losses: Losses = NO_LOSSES,
        alias: str = DEFAULT_CHANNEL_LAYER,
        routing: Any = None,
        choose: Choose | None = None,
        **layer_options: Any,
    ) -> None:
        self.seed = seed
        self.clock = VirtualClock()
        # What has happened, line by line.
        self.story: list[str] = []
        self.sockets: list[Socket] = []
        self._chance = random.Random(seed)
        self._choose = choose or self._chance.choice
        site = channel_layers[alias]
        options = {name: getattr(site.channel_layer, name) for name in _OPTIONS} | layer_options
        self.layer = LossyLayer(NO_LOSSES, self._chance, clock=self.clock, **options)
        # What goes wrong from now on: with what happens in steps, and not with what a test itself does.
        self.losses = losses
        self.wrapper = ChannelLayerWrapper(self.layer, alias, site.routing if routing is None else routing)
        self._databases = SharedDatabases()
        self._began = self.clock.now
        self._counts = workers, servers
        self._threads = ThreadPoolExecutor(workers, "worker", self._databases.adopt)
        self._names: dict[str, str] = {}

    def __enter__(self) -> Scheduler:
        with contextlib.ExitStack() as stack:
            self._enter(stack)
            self._stack = stack.pop_all()
        return self

    def _enter(self, stack: contextlib.ExitStack) -> None:
        stack.callback(random.setstate, random.getstate())
        random.seed(self.seed)
        alias = self.wrapper.alias
        stack.callback(channel_layers.set, alias, channel_layers.set(alias, self.wrapper))
        prepare_router(self.wrapper)
        stack.enter_context(self._databases)
        self.layer.before_visit = self._databases.pause
        consumer_finished.connect(self._finish_commits, weak=False)
        stack.callback(consumer_finished.disconnect, self._finish_commits)
        logger = logging.getLogger(Consumption.__module__)
        logger.addFilter(hide_killed)
        stack.callback(logger.removeFilter, hide_killed)
        workers, servers = self._counts
        limits = Limits.from_settings(settings)
        self._servers = [Server(f"server {n}", self.layer, self.clock, limits) for n in range(1, servers + 1)]
        for server in self._servers:
            stack.callback(server.close)
        self._later = Later(self.layer)
        self._workers = [ImaginaryWorker(f"worker {n}", self) for n in range(1, workers + 1)]
        self._let_workers_be_heard_of()
        stack.callback(self._end_workers)

    def _end_workers(self) -> None:
        # All at once, for one of them may wait for what another one has.
        killed = [work for worker in self._workers if (work := worker.end())]
        have_ended = [work.wait() for work in killed]
        self._threads.shutdown(wait=all(have_ended))

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is not None:
            left_out = max(0, len(self.story) - TOLD_STEPS)
            beginning = f"\n  ({left_out} steps before)" if left_out else ""
            steps = "".join(f"\n  {step}" for step in self.story[left_out:])
            error.add_note(f"What had happened, with seed {self.seed}:{beginning}{steps}")
        self._stack.close()

    # Browsers

    def connect(
        self,
        path: str,
        client: Any = None,
        headers: Iterable[Header] = (),
        subprotocols: Sequence[str] = (),
        server: int = 0,
    ) -> Socket:
        """
        Begin to open a WebSocket, with the cookies of a test client of Django; return the browser's side of it.

        ``server`` is the number of its interface server, counted from 1; 0 leaves that to chance. ``headers`` are
        pairs of bytes. The socket is open, or has a ``close_code``, when it has come to be answered: see ``run``.
        """
        number = len(self.sockets) + 1
        chosen = self._servers[server - 1] if server else self._chance.choice(self._servers)
        socket = Socket(f"socket {number}", chosen, scope_of(number, path, client, headers, subprotocols))
        self.sockets.append(socket)
        return socket

    # Steps

    def steps(self) -> list[Step]:
        """Return what could happen next, without time passing."""
        self._databases.finish_commits()
        steps = [
            Step(server.name, "has its turn", server.loop.run_until_idle) for server in self._servers if server.has_work
        ]
        steps += [Step(socket.name, socket.next, socket.arrive) for socket in self.sockets if socket.sent]
        steps += self._later.steps()
        for worker in self._workers:
            steps += worker.steps()
        idle = next((worker for worker in self._workers if worker.is_idle), None)
        if idle is not None:
            steps += [idle.take_from(channel) for channel in self.layer.waiting(idle.channels)]
        return steps

    def step(self, what: str = "") -> bool:
        """
        Do one step; return whether there was anything to do without time passing.

        With a text it is the first one that begins so, ``"worker 1"`` for example. Raises ``LookupError`` if none does.
        """
        steps = self.steps()
        if what:
            steps = [step for step in steps if str(step).startswith(what)] or self._miss(what, steps)
        if not steps:
            return False
        step = steps[0] if what else self._choose(steps)
        self.layer.losses = self.losses
        try:
            # Time may change what can be done.
            if self.layer.happens(self.losses.late):
                self._pass_time(self._chance.uniform(0, self.losses.latest))
            else:
                self.tell(str(step))
                step.do()
        finally:
            self.layer.losses = NO_LOSSES
        return True

    def run(self, seconds: float = 0.0) -> None:
        """
        Go on until the site is at rest, and at least until so many seconds have passed.

        At rest nothing waits for anything, and all sockets have been answered. Until then time passes where nothing can
        be done before: until a worker tries again what a full channel has refused, say, or an interface server finds a
        message to be lost. Delayed messages wait until time has passed. Raises ``RuntimeError`` if the site does not
        come to rest.
        """
        end = self.clock.now + seconds
        for _ in range(MOST_STEPS):
            if self.step():
                continue
            next_in, left = self._until_next(), end - self.clock.now
            if self.is_at_rest:
                if next_in > left:
                    self._pass_time(left)
                    return
            elif next_in == math.inf:
                raise RuntimeError(f"Nothing will ever happen, and yet there is left: {', '.join(self._unrest())}.")
            self._pass_time(next_in)
        left_over = ", ".join(self._unrest()) or "messages in channels"
        raise RuntimeError(
            f"The site has not come to rest after {MOST_STEPS} steps; do its consumers call each other? "
            f"There is left: {left_over}."
        )

    def advance(self, seconds: float) -> None:
        """
        Let time pass while the workers stand still, and nothing that browsers have sent arrives.

        So messages expire, and what the interface servers do by the clock is done in time.
        """
        self._pass_time(seconds)

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing will happen any more, whatever time passes, but for what interface servers do regularly."""
        return not self._unrest()

    # Inside

    def submit(self, work: Work, action: Callable[[], Any]) -> None:
        """Have something done in a thread of workers."""
        self._threads.submit(work.run, action)

    def describe(self, delivery: Delivery) -> str:
        """Say which message this is, and of which socket."""
        content = delivery.content
        reply_channel = content.get("reply_channel")
        if delivery.channel == "websocket.connect" and reply_channel and content.get("client"):
            self._names[reply_channel] = f"socket {content['client'][1]}"
        socket = self._names.get(reply_channel or "")
        return f"{delivery.channel} of {socket}" if socket else delivery.channel

    def tell(self, what: str) -> None:
        """Add a line to the story."""
        self.story.append(f"{self.clock.now - self._began:8.3f} s  {what}")

    def _pass_time(self, seconds: float) -> None:
        if seconds <= 0:
            return
        self.tell(f"{seconds:.3g} s pass")
        end = self.clock.now + seconds
        while True:
            for server in self._servers:
                if server.has_work:
                    server.loop.run_until_idle()
            # What servers do by the clock they do in time, so it has passed already up to what they do next.
            wakes_at = max(self.clock.now, min(server.loop.wakes_at for server in self._servers))
            if wakes_at > end:
                break
            self.clock.now = wakes_at
            self._let_workers_be_heard_of()
        self.clock.now = end
        self._let_workers_be_heard_of()

    def _let_workers_be_heard_of(self) -> None:
        # No steps, for nothing comes of their order: workers that stand still or are killed are there all the time.
        for server in self._servers:
            for worker in self._workers:
                server.hear_of_workers(worker.channels)

    def _until_next(self) -> float:
        times = [server.loop.wakes_at - self.clock.now for server in self._servers]
        times += [worker.tries_again_in for worker in self._workers]
        return max(0.0, min(*times, self._later.due_in))

    def _unrest(self) -> list[str]:
        """Return what is not at rest."""
        unrest = [socket.name for socket in self.sockets if not socket.is_settled]
        unrest += [what for server in self._servers for what in server.under_way]
        return unrest + [worker.name for worker in self._workers if not worker.is_at_rest]

    def _miss(self, what: str, steps: Sequence[Step]) -> list[Step]:
        found = ", ".join(repr(str(step)) for step in steps) or "nothing"
        raise LookupError(f"No step begins with {what!r}. There is: {found}.")

    def _finish_commits(self, **kwargs: Any) -> None:
        if is_worker():
            self._databases.finish_commits()
