"""
What the connections of one interface process share: the layer, the process queue, and the way to stop.

There is one for each event loop that serves connections, which is one per process with all known servers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable, Coroutine, Iterable, Iterator
from operator import methodcaller
from typing import Any, Protocol, TypeVar

from ..layers.base import BaseChannelLayer, Content, Ticket
from ..values.names import local_part
from ..values.turn import Turn
from .connection import Connection
from .dispatch import SENDS, dispatch
from .garbage import Garbage
from .lane_watch import LaneWatch
from .lease import LeaseKeeper
from .limits import Limits
from .replies import UPKEEP, Replies
from .spool import Spool
from .websocket import RECHECK_CHANNEL

logger = logging.getLogger(__name__)

Thing = TypeVar("Thing")

# What consumers have changed in the sessions of connections is in their last wills after so many seconds.
WILL_DELAY = 0.1
# As many last wills are told in one step.
WILLS_AT_ONCE = 100
# At a stop sockets are closed in batches, so often in seconds, and no fewer at a time. They are spread over half of the
# grace, so that not all clients come back in one second; the other half is for what consumers still do.
DRAIN_INTERVAL = 0.1
STOPPED_AT_ONCE = 25
# So often, in seconds, consumers are asked to look at some of the sockets.
RECHECK_INTERVAL = 1.0


class EmbeddedWorkers(Protocol):
    """Worker threads in the interface process."""

    def stop(self, drain: bool) -> None:
        """Finish what runs, with ``drain`` also what waits, and end the threads."""


class InterfaceProcess:
    """The part of an interface server that outlives its connections."""

    def __init__(
        self, layer: BaseChannelLayer, limits: Limits, start_workers: Callable[[], EmbeddedWorkers | None]
    ) -> None:
        self.layer = layer
        self.limits = limits
        self.replies = Replies(layer)
        self.spool = Spool(limits.spool_memory, limits.spool_size)
        self.stopping = False
        self._loop = asyncio.get_running_loop()
        self._connections: set[Connection] = set()
        self._old_wills: set[Connection] = set()
        self._kept: set[asyncio.Task[Any]] = set()
        # Set when none of them is left.
        self._told = asyncio.Event()
        self._garbage = Garbage()
        self._idle = asyncio.Event()
        self._idle.set()
        self._workers = start_workers()
        lease = LeaseKeeper(layer, self.replies, self._start_anew)
        self._reader = self._loop.create_task(self.replies.read())
        self._upkeep = [
            self._loop.create_task(lease.keep()),
            self._loop.create_task(LaneWatch(layer, self.replies).keep()),
            self._loop.create_task(self.replies.workers.keep()),
        ]
        if limits.recheck_period:
            self._upkeep.append(self._loop.create_task(self._recheck_sockets()))
        # Closes the sockets.
        self._drain: asyncio.Task[Any] | None = None
        self._stopped: asyncio.Task[None] | None = None

    def enter(self, connection: Connection) -> None:
        """Have a connection be told of the end of this process, and the stop wait for its end."""
        self._connections.add(connection)
        self._idle.clear()
        if connection.is_socket:
            self._garbage.socket_opens()

    def leave(self, connection: Connection) -> None:
        """Let go a connection that has ended, and of whose end consumers have been told."""
        if connection not in self._connections:
            return
        self._connections.remove(connection)
        if not self._connections:
            self._idle.set()
        if connection.is_socket:
            self._garbage.socket_ends(len(self._connections))

    def tell(
        self,
        channel: str,
        content: Content,
        reply_channel: str = "",
        ticket: Ticket | None = None,
        patience: float | None = None,
    ) -> None:
        """
        Send a message on behalf of a connection that no longer waits for it, until it is accepted or too old.

        One that ends a connection names its ``reply_channel``. It is not sent when consumers have been told already,
        since this process was taken for dead.
        """
        if reply_channel and not self.replies.owns(reply_channel):
            return
        send = self.layer.prepare(channel, content, ticket=ticket)._replace(reply_channel=reply_channel)
        self.keep(dispatch(self.layer, send, self.layer.expiry if patience is None else patience))

    def renew_will_soon(self, connection: Connection) -> None:
        """Have the layer know a last will that has changed, with those of others."""
        connection.will_is_old = True
        if self.layer.lease_interval is None:
            return
        if not self._old_wills:
            self._loop.call_later(WILL_DELAY, lambda: self.keep(self._renew_wills()))
        self._old_wills.add(connection)

    async def _renew_wills(self) -> None:
        connections, self._old_wills = list(self._old_wills), set()
        for start in range(0, len(connections), WILLS_AT_ONCE):
            some = connections[start : start + WILLS_AT_ONCE]
            # Not those of a process that was taken for dead meanwhile.
            owned = [each for each in some if self.replies.owns(each.reply_channel)]
            wills = [(local_part(each.reply_channel), will) for each in owned if (will := each.take_will(again=False))]
            if not wills:
                continue
            try:
                await self.layer.set_wills(self.replies.queue, wills)
            except Exception as error:
                for each in some:
                    # The next renewal of the lease tells it.
                    each.will_is_old = True
                self.layer.outage.goes_on(error, UPKEEP)

    async def forget_will(self, reply_channel: str) -> None:
        """Have the layer forget the last will of a connection whose end nobody needs to be told of."""
        try:
            await self.layer.set_wills(self.replies.queue, [(local_part(reply_channel), None)])
        except Exception as error:
            self.layer.outage.hinders(error, "The last will of a connection could not be taken back")

    def keep(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Do something beside the connections, which a stop waits for."""
        task = self._loop.create_task(coroutine)
        self._kept.add(task)
        self._told.clear()
        task.add_done_callback(self._finish_kept)
        return task

    def _finish_kept(self, task: asyncio.Task[Any]) -> None:
        self._kept.discard(task)
        if not self._kept:
            self._told.set()

    async def _recheck_sockets(self) -> None:
        """Have consumers look at each socket once in a period, spread over all of it."""
        period = self.limits.recheck_period
        while True:
            sockets = [connection for connection in self._connections if connection.is_socket]
            size = math.ceil(len(sockets) * RECHECK_INTERVAL / period)
            began, turns = self._loop.time(), 0
            while sockets:
                turns += 1
                await asyncio.sleep(began + turns * min(RECHECK_INTERVAL, period) - self._loop.time())
                some, sockets = sockets[:size], sockets[size:]
                if not self.replies.workers.are_gone(RECHECK_CHANNEL):
                    await self._in_turns((each for each in some if each in self._connections), methodcaller("recheck"))
            await asyncio.sleep(max(0.0, began + period - self._loop.time()))

    def reason_to_refuse(self, channel: str) -> str:
        """Say in a sentence why a message that opens a connection is not even tried to be sent; nothing if it is."""
        if self.stopping and (channel != "http.request" or self._drain is None or self._drain.done()):
            return "The server is stopping."
        return self.replies.workers.trouble(channel) if self.replies.workers.are_gone(channel) else ""

    def log_refused(self, what: str, path: str, channel: str) -> None:
        """Say why a message from a client was not taken, unless that is an outage: it is told of for all at once."""
        why = self.reason_to_refuse(channel) or self.layer.describe_full(channel)
        level = logging.DEBUG if self.layer.outage.lasts(SENDS) else logging.WARNING
        logger.log(level, "%s: %s", what % path, why)

    def warn_unanswered(self, channel: str, warning: str, *arguments: Any) -> None:
        """Log that nobody has answered a message, and whether any worker reads its channel."""
        hint = self.replies.workers.trouble(channel) or f"Workers that read {channel} are there."
        logger.warning(f"{warning} %s", *arguments, hint)

    # Stopping

    def begin_stop(self, then: Callable[[], object] | None = None) -> None:
        """
        Take no new sockets and close those that there are, with code 1012; requests get a grace to end.

        ``then`` says what waits for the sockets to be closed; new requests are served until that. Without it nobody
        waits, and they are closed as fast as can be.
        """
        if not self.stopping:
            self.stopping = True
            logger.info("Stopping with %d open connection(s)", len(self._connections))
            self._loop.call_later(self.limits.stop_grace, self._end_grace)
            sockets = [connection for connection in self._connections if connection.is_socket]
            batches = self.limits.stop_grace / 2 / DRAIN_INTERVAL if then is not None else 1.0
            size = max(STOPPED_AT_ONCE, math.ceil(len(sockets) / max(1.0, batches)))
            # Servers that are told at the same time may wait for nobody: some are closed before they do anything.
            for socket in sockets[:STOPPED_AT_ONCE]:
                self._guarded(methodcaller("stop"), socket)
            self._drain = self.keep(self._close_in_batches(sockets[STOPPED_AT_ONCE:], size))
        if then is not None and self._drain is not None:
            self._drain.add_done_callback(lambda _: then())

    async def _close_in_batches(self, sockets: list[Connection], size: int) -> None:
        while sockets:
            batch, sockets = sockets[:size], sockets[size:]
            await self._in_turns((each for each in batch if each in self._connections), methodcaller("stop"))
            await asyncio.sleep(DRAIN_INTERVAL if sockets else 0)

    async def stop(self) -> None:
        """Stop, and return when every connection has ended and every consumer has been told."""
        if self._stopped is None:
            self._stopped = self._loop.create_task(self._stop())
        await asyncio.shield(self._stopped)

    async def _stop(self) -> None:
        self.begin_stop()
        await self._idle.wait()
        told = await self._tell_all()
        if self._workers is not None:
            await self._loop.run_in_executor(None, self._workers.stop, True)
        self._reader.cancel()
        for task in self._upkeep:
            task.cancel()
        if told:
            await self._end_lease()

    async def _tell_all(self) -> bool:
        """
        Wait until consumers have been told of the end of all connections; return whether they have.

        With a lease, not for long: what is left is told by the last wills, when the layer notices that we are gone.
        """
        limit = self.limits.stop_grace if self.layer.lease_interval is not None else None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit):
                while self._kept:
                    await self._told.wait()
        if not self._kept:
            return True
        logger.warning("Nobody takes the last %d messages of this process; they follow by its wills", len(self._kept))
        await self._in_turns(list(self._kept), asyncio.Task.cancel)
        return False

    async def _end_lease(self) -> None:
        try:
            await self.layer.end_lease(self.replies.queue)
        except Exception as error:
            text = "Ending the lease of this process failed, and the channel layer will notice its end"
            self.layer.outage.hinders(error, text)

    def _start_anew(self) -> None:
        """End all connections without a word to the consumers: they have been told that this process is dead."""
        logger.error("This process was taken for dead; its %d connections are closed", len(self._connections))
        # From now on nothing of them reaches consumers, whenever it is their turn.
        self.replies.start_anew()
        self._reader.cancel()
        self._reader = self._loop.create_task(self.replies.read())
        self.keep(self._in_turns(self._present(), methodcaller("write_off")))

    def _end_grace(self) -> None:
        self.keep(self._in_turns(self._present(), methodcaller("end_grace")))

    def _present(self) -> Iterator[Connection]:
        """Iterate over the connections that are there now, without those that have ended when it is their turn."""
        return (each for each in list(self._connections) if each in self._connections)

    async def _in_turns(self, things: Iterable[Thing], action: Callable[[Thing], object]) -> None:
        """Do something with each of many things, while others have their turn too."""
        turn = Turn(self._loop.time)
        for thing in things:
            if turn.is_over:
                await turn.give_way()
            self._guarded(action, thing)

    def _guarded(self, action: Callable[[Thing], object], thing: Thing) -> None:
        try:
            action(thing)
        except Exception:
            # The others have their turn all the same.
            logger.exception("%r failed", action)
