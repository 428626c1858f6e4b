"""Send messages to consumers, run these, and look at what they answer."""

from __future__ import annotations

import copy
import secrets
from typing import Any

from ..channel import Group
from ..layers.base import Content, Ticket
from ..layers.origin import Origin
from ..message import Message
from ..registry import DEFAULT_CHANNEL_LAYER, ChannelLayerWrapper, channel_layers
from .consuming import consume_next, require_route
from .interface_server import InterfaceServer


class Client:
    """
    Somebody with a reply channel, on the layer of an alias.

    What it sends waits in its channel until ``consume`` runs the consumer; what that sends to the reply channel, or to
    a group that it is in, waits until ``receive`` takes it.
    """

    def __init__(self, alias: str = DEFAULT_CHANNEL_LAYER) -> None:
        self.alias = alias
        self.reply_channel = f"reply.test{secrets.token_hex(4)}!1"

    @property
    def channel_layer(self) -> ChannelLayerWrapper:
        """The layer that is there now under the alias."""
        return channel_layers[self.alias]

    def get_next_message(self, channel: str) -> Message | None:
        """Take the next message of a channel, of whatever kind; None if there is none."""
        return next_message(self.channel_layer, channel)

    def get_consumer_by_channel(self, channel: str) -> Any:
        """Return the consumer that a message without anything but an empty text would get; None without one."""
        match = self.channel_layer.router.match(Message({"text": ""}, channel, self.channel_layer))
        return match[0] if match else None

    def send(self, to: str, content: Content | None = None) -> None:
        """Put a message into a channel; it names the reply channel of this client, unless it names one itself."""
        self._put(to, copy.deepcopy(content or {}))

    def _put(self, to: str, content: Content) -> None:
        content.setdefault("reply_channel", self.reply_channel)
        InterfaceServer.of(self.channel_layer).send(to, content)

    def consume(self, channel: str, fail_on_none: bool = True) -> Any:
        """
        Take the next message of a channel and run its consumer; return what that returns.

        Raises what it raises, but for what a worker understands: ``DenyConnection`` becomes a reply,
        ``WebsocketCloseException`` too, and after ``ConsumeLater`` the message waits in its channel again. Raises
        ``AssertionError`` if there is no message or no route for it, unless ``fail_on_none`` is false.
        """
        consumption = consume_next(self.channel_layer, [channel])
        if consumption is None:
            if fail_on_none:
                raise AssertionError(f"No message waits on {channel!r}. Send one first.")
            return None
        if fail_on_none:
            require_route(consumption, self.alias, channel)
        return consumption.result

    def send_and_consume(self, channel: str, content: Content | None = None, fail_on_none: bool = True) -> Any:
        """Send a message and run its consumer: ``send``, then ``consume``."""
        self.send(channel, content)
        return self.consume(channel, fail_on_none=fail_on_none)

    def receive(self) -> Any:
        """Return the content of the next reply; None if there is none."""
        message = self.get_next_message(self.reply_channel)
        return message.content if message is not None else None

    def join_group(self, group_name: str) -> None:
        """Let this client receive what is sent to a group."""
        Group(group_name, alias=self.alias).add(self.reply_channel)


def next_message(channel_layer: ChannelLayerWrapper, channel: str) -> Message | None:
    """Take the next message of a channel, as a consumer may be called with; None if there is none."""
    server = InterfaceServer.of(channel_layer)
    delivery = server.take(channel)
    if delivery is None:
        return None
    channel, content, ticket = delivery
    origin = _Origin(server, content["reply_channel"], ticket) if ticket is not None else None
    return Message(content, channel, channel_layer, origin)


class _Origin(Origin):
    """The connection of a message whose consumer the test calls itself: the session is kept as soon as it changes."""

    def __init__(self, server: InterfaceServer, reply_channel: str, ticket: Ticket) -> None:
        self._server = server
        super().__init__(server.layer, reply_channel, ticket)

    @property
    def session(self) -> Content:
        return self._server.sessions.get(self.reply_channel, {})

    @session.setter
    def session(self, values: Content) -> None:
        self._server.sessions[self.reply_channel] = values
