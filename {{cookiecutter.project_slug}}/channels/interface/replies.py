"""
Read the process queue of an interface process and hand its entries to the connections.

The reader keeps the groups of its own sockets: the layer delivers a broadcast once per process, and here it
is handed to each member.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import logging
import os
import secrets
from collections.abc import Coroutine, Iterable, Iterator
from typing import Any

from ..layers.base import BaseChannelLayer, Content, Entry
from ..layers.members import GroupMembers
from ..values.pauses import Pauses
from ..values.turn import Turn
from .connection import Connection
from .dispatch import dispatch
from .workers import GROUP, PLACE, Workers

logger = logging.getLogger(__name__)

# What an outage is told that an interface process cannot do: leave groups, renew memberships and last wills.
UPKEEP = "upkeep"
# As many memberships of closed connections end in one step.
_LEFT_AT_ONCE = 100
# The random part of a reply channel, in bytes: a multiple of three, so that it is encoded without padding.
_NAME_SIZE = 12


class Replies:
    """The process queue of one interface process and the connections behind it."""

    def __init__(self, layer: BaseChannelLayer) -> None:
        self._layer = layer
        self.queue = _new_queue()
        # Whether entries may have been lost on their way here.
        self.unsure = False
        # What the names of reply channels are made of: to ask for it costs a system call.
        self._randomness = b""
        self._connections: dict[str, Connection] = {}
        self._members = GroupMembers()
        # Those that were known before all were told anew.
        self._former_members = GroupMembers()
        # What closed connections have still to leave.
        self._not_left: list[tuple[str, str]] = []
        self._is_leaving = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self.workers = Workers(layer)
        self._listen_to_workers()

    def _listen_to_workers(self) -> None:
        # The layer is told of this membership as of all others, with the lease: nothing is heard before.
        self.workers.hear_nothing()
        self._connections[PLACE] = self.workers
        self._members.add(GROUP, PLACE)

    def new_channel(self) -> str:
        """Return an unused reply channel. Its local part cannot be guessed and is never used again."""
        if len(self._randomness) < _NAME_SIZE:
            self._randomness = os.urandom(100 * _NAME_SIZE)
        name, self._randomness = self._randomness[:_NAME_SIZE], self._randomness[_NAME_SIZE:]
        return self.queue + base64.urlsafe_b64encode(name).decode()

    def register(self, reply_channel: str, connection: Connection) -> None:
        """Let a connection have what is sent to its reply channel."""
        self._connections[self._local(reply_channel)] = connection

    def owns(self, reply_channel: str) -> bool:
        """Say whether a reply channel is read: that of a connection from before ``start_anew`` is not."""
        return reply_channel.startswith(self.queue)

    def forget(self, reply_channel: str) -> None:
        """Drop a connection of which nothing more is expected, and take it out of all its groups."""
        if self._connections.pop(self._local(reply_channel), None) is not None:
            self.leave_groups(reply_channel)

    def leave_groups(self, reply_channel: str) -> None:
        """Take a connection that has closed out of all its groups."""
        local = self._local(reply_channel)
        groups = self._members.discard_all(local)
        if groups:
            self._leave([(group, local) for group in groups])

    async def read(self) -> None:
        """Hand on what comes, for ever. A layer that fails is asked again, with growing pauses."""
        pauses = Pauses(0.05, 1.0)
        while True:
            try:
                entries = await self._layer.read_queue(self.queue)
                pauses.begin_anew()
            except Exception as error:
                self.unsure = True
                self.workers.hear_nothing()
                self._layer.outage.goes_on(error, "reads")
                await asyncio.sleep(pauses.next())
                continue
            self._layer.outage.is_over("reads")
            await self._hand_on(entries)

    def memberships(self) -> Iterator[tuple[str, str]]:
        """Iterate over the memberships of open connections as ``(group, local part)``. They may change meanwhile."""
        members = self._members
        for membership in members:
            if members is not self._members:
                # All are told anew.
                return
            yield membership

    def lose(self, reply_channel: str, number: int | None) -> None:
        """Tell a connection that a message of its lane is lost, if it is there."""
        connection = self._connections.get(self._local(reply_channel))
        if connection is not None and number is not None and self.owns(reply_channel):
            connection.lose(number)

    def connections(self) -> Iterator[tuple[str, Connection]]:
        """Iterate over the connections, by local parts. They may come and go meanwhile."""
        for local, connection in list(self._connections.items()):
            if local in self._connections:
                yield local, connection

    async def leave_the_rest(self) -> None:
        """Take closed connections out of the groups that they have not left yet."""
        turn = Turn(self._layer.clock)
        while self._not_left:
            some, self._not_left = self._not_left[:_LEFT_AT_ONCE], self._not_left[_LEFT_AT_ONCE:]
            try:
                await self._layer.leave_groups(self.queue, some)
            except BaseException:
                self._not_left += some
                raise
            if turn.is_over:
                await turn.give_way()

    def start_anew(self) -> None:
        """Take another process queue, and drop all connections: the layer has written this process off."""
        self.queue = _new_queue()
        # What may have been lost was on its way to the old one.
        self.unsure = False
        self._connections.clear()
        self._members, self._former_members = GroupMembers(), GroupMembers()
        self._not_left.clear()
        self._listen_to_workers()

    async def _hand_on(self, entries: Iterable[Entry]) -> None:
        turn = Turn(self._layer.clock)
        for action, *arguments in self._steps(entries):
            if turn.is_over:
                await turn.give_way()
            try:
                action(*arguments)
            except Exception:
                # Nobody is to miss a message because another one, or another connection, has failed.
                logger.exception("A message from the channel layer could not be handed to its connection")

    def _steps(self, entries: Iterable[Entry]) -> Iterator[tuple[Any, ...]]:
        """Iterate over what is to be done with entries, as functions with their arguments."""
        for group, some in itertools.groupby(entries, _group_told):
            if group:
                contents = [entry.content for entry in some]
                # Whoever closes before its step, be it because of such a message, leaves the group: hence the list.
                # Each gets all that comes in a row, for to send several at once costs less than one after the other.
                for local in list(self._members.of(group)):
                    for content in contents:
                        yield self._broadcast, local, content
                continue
            for entry in some:
                is_message = entry.content is not None or entry.finish is not None
                yield (self._reply if is_message else self._change_membership), entry

    def _broadcast(self, local: str, content: Content) -> None:
        if local in self._connections:
            self._connections[local].broadcast(content)

    def _reply(self, entry: Entry) -> None:
        content, finish = entry.content, entry.finish
        connection = self._connections.get(entry.local)
        if connection is None:
            logger.debug("A reply came for %s%s, which has gone", self.queue, entry.local)
            if content and (worker := content.get("worker")):
                news = self._layer.prepare(worker[0], {"response": worker[1], "closed": True})
                self._start(dispatch(self._layer, news))
            return
        try:
            if content is not None:
                connection.reply(content)
        finally:
            # Whatever is wrong with what it was sent, its message is done.
            if finish is not None:
                connection.finished(finish)

    def _change_membership(self, entry: Entry) -> None:
        if not entry.group:
            self._former_members, self._members = self._members, GroupMembers()
        elif not entry.joins:
            self._members.discard(entry.group, entry.local)
        elif entry.local not in self._connections:
            # It joined after its connection had closed.
            self._leave([(entry.group, entry.local)])
        elif not entry.stays or entry.local in self._former_members.of(entry.group):
            self._members.add(entry.group, entry.local)
        else:
            logger.warning(
                "The store says that a connection is in the group %s, into which nobody with our keys has put it",
                entry.group,
            )

    def _leave(self, memberships: list[tuple[str, str]]) -> None:
        self._not_left += memberships
        if not self._is_leaving:
            self._is_leaving = True
            self._start(self._try_to_leave())

    def _start(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _try_to_leave(self) -> None:
        try:
            await self.leave_the_rest()
        except Exception as error:
            # The next upkeep leaves them, and then the outage is over.
            self._layer.outage.goes_on(error, UPKEEP)
        finally:
            self._is_leaving = False

    def _local(self, reply_channel: str) -> str:
        return reply_channel[len(self.queue) :]


def _group_told(entry: Entry) -> str:
    """Return the group that a message is for, empty if it is for a connection or no message."""
    return "" if entry.content is None else entry.group


def _new_queue() -> str:
    return f"reply.{secrets.token_hex(8)}!"
