"""
Play an interface server by hand: the side of a channel layer that holds the connections.

There is one for each layer, so that all clients of a test, and the test itself, read the same process queues.
"""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict, deque
from typing import NamedTuple

from django.contrib.auth import SESSION_KEY

from ..interface.session import merged
from ..interface.websocket import RECHECK, RECHECK_CHANNEL
from ..layers.base import BaseChannelLayer, Content, Delivery, Finish, Send, Ticket
from ..registry import AnyLayer, layer_behind
from .process_queue import MemberMessages, entries_there

_OF_CONNECTIONS = ("websocket.", "http.")


class Reply(NamedTuple):
    """A message to a connection, and whether it came through a group."""

    content: Content
    from_group: bool = False


class InterfaceServer:
    """
    Puts the messages of connections on a layer, and takes what is sent to them.

    ``sessions`` holds the channel sessions of connections, by their reply channels; ``finishes`` what workers have told
    connections, as ``(reply channel, finish)`` in order.
    """

    def __init__(self, layer: BaseChannelLayer) -> None:
        self.layer = layer
        self.sessions: dict[str, Content] = {}
        self.finishes: list[tuple[str, Finish]] = []
        self._members = MemberMessages(layer)
        # The connections that have sent something, and may have been told something; and the path of each.
        self._open: dict[str, str] = {}
        # Those whose connect consumer has not ended; and whether they are to be looked at after that.
        self._connecting: dict[str, bool] = {}
        self._replies: defaultdict[str, deque[Reply]] = defaultdict(deque)

    @classmethod
    def of(cls, channel_layer: AnyLayer) -> InterfaceServer:
        """Return the one of a layer."""
        layer = layer_behind(channel_layer)
        # It lies with the layer, and goes with it.
        server: InterfaceServer = vars(layer).setdefault("played_interface_server", cls(layer))
        return server

    # Towards the workers

    def send(self, channel: str, content: Content) -> None:
        """
        Put a message on the layer, with the channel session if it is one of a connection.

        Raises what ``BaseChannelLayer.send`` raises.
        """
        if channel == "websocket.disconnect" and "!" in (content.get("reply_channel") or ""):
            self._leave_groups(content["reply_channel"])
        send = self.layer.prepare(channel, content, ticket=self._ticket(channel, content))
        if self.layer.send_many([send]):
            raise self.layer.ChannelFull(self.layer.describe_full(channel))

    def let_go(self, delivery: Delivery) -> Delivery:
        """Return a message as its lane would let it go: with the session that the messages before it have left."""
        channel, content, ticket = delivery
        now = self._ticket(channel, content)
        if now is None:
            return delivery
        return delivery._replace(ticket=now._replace(number=ticket.number) if ticket is not None else now)

    def tell(self, reply_channel: str, finish: Finish) -> None:
        """Tell a connection that a worker has done with a message of it."""
        if "!" in reply_channel:
            self.layer.send_many([Send(reply_channel, None, finish=finish)])
        else:
            self._finish(reply_channel, finish)

    # Towards the connections

    def take(self, channel: str) -> Delivery | None:
        """Take the next message of a channel, whether it is that of a connection or another one."""
        if "!" in channel or channel in self._replies:
            replies = self.replies(channel)
            return Delivery(channel, replies.popleft().content) if replies else None
        if channel == RECHECK_CHANNEL:
            for queue in {_queue(name) for name in self._open if "!" in name}:
                self._read(queue)
        delivery = self.layer.take([channel])
        return self.let_go(delivery) if delivery is not None else None

    def replies(self, reply_channel: str) -> deque[Reply]:
        """Return what a connection has not taken yet; its reply channel may be an ordinary one."""
        replies = self._replies[reply_channel]
        if "!" in reply_channel:
            self._read(reply_channel)
        else:
            while delivery := self.layer.take([reply_channel]):
                replies.append(Reply(delivery.content))
        return replies

    def session(self, reply_channel: str) -> Content:
        """Return the values of the channel session of a connection."""
        if "!" in reply_channel and reply_channel in self._open:
            self._read(reply_channel)
        return self.sessions.get(reply_channel, {})

    def read_all(self, reply_channel: str) -> list[tuple[str, Content]]:
        """Take what is there for all connections of one process queue: ``(reply channel, message)``."""
        self._read(reply_channel)
        queue = _queue(reply_channel)
        inboxes = [(name, replies) for name, replies in self._replies.items() if _queue(name) == queue]
        found = [(name, reply.content) for name, replies in inboxes for reply in replies]
        for _, replies in inboxes:
            replies.clear()
        return found

    def _read(self, reply_channel: str) -> None:
        queue = _queue(reply_channel)
        # A loop of its own, which changes nothing for others in this thread.
        with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
            entries = runner.run(entries_there(self.layer, queue))
        for entry in entries:
            if entry.finish is not None:
                self._finish(queue + entry.local, entry.finish)
            for name, content in self._members.made_of(queue, [entry]):
                if content.get(RECHECK):
                    self._recheck(name)
                else:
                    self._replies[name].append(Reply(content, bool(entry.group)))

    def _recheck(self, reply_channel: str) -> None:
        """Have a consumer look whether the user of a socket may stay, if one is signed in."""
        session = self.sessions.get(reply_channel, {})
        if reply_channel in self._connecting:
            self._connecting[reply_channel] = True
        elif SESSION_KEY in session:
            content = {"reply_channel": reply_channel, "path": self._open.get(reply_channel, "/")}
            self.layer.send_many([self.layer.prepare(RECHECK_CHANNEL, content, ticket=Ticket(None, session))])

    def _finish(self, reply_channel: str, finish: Finish) -> None:
        self.finishes.append((reply_channel, finish))
        session = self.sessions.get(reply_channel, {})
        self.sessions[reply_channel] = merged(session, finish, sys.maxsize)
        if finish.number == 0 and not finish.comes_again and self._connecting.pop(reply_channel, False):
            self._recheck(reply_channel)

    def _ticket(self, channel: str, content: Content) -> Ticket | None:
        reply_channel = content.get("reply_channel")
        if not reply_channel or not channel.startswith(_OF_CONNECTIONS):
            return None
        order = content.get("order")
        number = order if type(order) is int and not channel.endswith(".disconnect") else None
        session = self.session(reply_channel)
        if number == 0:
            self._connecting[reply_channel] = False
        self._open.setdefault(reply_channel, content.get("path") or "/")
        return Ticket(number, session)

    def _leave_groups(self, reply_channel: str) -> None:
        """Do what an interface server does when a socket has closed, before it tells the consumers."""
        self._read(reply_channel)
        for group in self._members.leave(reply_channel):
            self.layer.group_discard(group, reply_channel)


def _queue(reply_channel: str) -> str:
    return reply_channel.partition("!")[0] + "!"
