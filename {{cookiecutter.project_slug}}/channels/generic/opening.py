"""
A socket while its connect consumer runs.

Its groups are joined when the consumer has let it in, and not before: one that is refused has never been a member. And
it is let in whole or not at all: if the consumer, or one of several, fails, what has been answered is taken back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..channel import Channel, Group
from ..exceptions import ChannelSocketException
from ..layers.base import Content
from ..layers.sends import held_sends
from ..message import Message
from ..registry import AnyLayer


class Opening(Channel):
    """
    The reply channel of a socket that connects: it notices how the socket is answered.

    ``groups`` are those that it joins once it is accepted, by their names.
    """

    def __init__(self, name: str, channel_layer: AnyLayer) -> None:
        super().__init__(name, channel_layer=channel_layer)
        self.groups: dict[str, Group] = {}
        self._accepted = self._closed = False

    def send(self, content: Content, immediately: bool = False) -> None:
        """Send a dict, as any channel does."""
        super().send(content, immediately)
        accept, has_data = content.get("accept"), content.get("text") is not None or content.get("bytes") is not None
        if accept or (accept is None and has_data):
            self._accepted = True
        if accept is False or content.get("close"):
            self._closed = True

    def join(self) -> None:
        """Join the groups, if the socket has been accepted and stays."""
        if self._accepted and not self._closed:
            for group in self.groups.values():
                group.add(self)

    def take_back(self) -> None:
        """Forget what has been answered and not sent yet."""
        held = held_sends()
        if held is not None:
            held.discard(self.name)


@contextmanager
def opening(message: Message) -> Iterator[Opening]:
    """
    Give a connect message an ``Opening`` for a reply channel, or the one that it has from a consumer around this one.

    At the end of the outermost the groups are joined. Raises ``ValueError`` for a message that comes from no socket.
    """
    channel = message.reply_channel
    if isinstance(channel, Opening):
        yield channel
        return
    if channel is None:
        raise ValueError(f"{message!r} comes from no socket: it has no reply_channel.")
    message.reply_channel = socket = Opening(channel.name, channel.channel_layer)
    try:
        yield socket
        socket.join()
    except ChannelSocketException:
        # Says itself what becomes of the socket, which may be accepted so that its client sees the code.
        raise
    except BaseException:
        socket.take_back()
        raise
