"""What a consumer is given."""

from __future__ import annotations

from typing import Any

from .channel import Channel
from .layers.base import Content
from .layers.origin import Origin
from .registry import AnyLayer


class Message:
    """
    A message as a consumer gets it.

    ``content`` is the dict that was sent, also open to ``message["key"]``; ``channel`` is the ``Channel`` it
    came from, ``reply_channel`` that of the connection behind it, or None; ``channel_layer`` is the layer that
    carried it, to hand on to ``Channel`` and ``Group`` in projects with several.
    """

    # Set by the decorators in sessions and auth: without them a message has none of these.
    channel_session: Any
    http_session: Any
    user: Any

    def __init__(
        self, content: Content, channel_name: str, channel_layer: AnyLayer, origin: Origin | None = None
    ) -> None:
        self.content = content
        # The connection that has sent it, None if that cannot be said for sure.
        self.origin = origin
        self.channel = Channel.known(channel_name, channel_layer)
        self.channel_layer = channel_layer
        name = content.get("reply_channel")
        # That of an open connection was made by its interface server.
        checked = Channel if origin is None else Channel.known
        self.reply_channel = checked(name, channel_layer=channel_layer) if name else None

    def __getitem__(self, key: str) -> Any:
        return self.content[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.content[key] = value

    def __contains__(self, key: str) -> bool:
        return key in self.content

    def keys(self) -> Any:
        """Return the keys of the content."""
        return self.content.keys()

    def values(self) -> Any:
        """Return the values of the content."""
        return self.content.values()

    def items(self) -> Any:
        """Return the items of the content."""
        return self.content.items()

    def get(self, key: str, default: Any = None) -> Any:
        """Return one value of the content, or a default."""
        return self.content.get(key, default)

    def copy(self) -> Message:
        """Return a message with a content of its own, one level deep."""
        return self.with_content(dict(self.content))

    def with_content(self, content: Content) -> Message:
        """Return this message with another content."""
        copy = Message.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        copy.content = content
        return copy

    def __repr__(self) -> str:
        reply = f" from {self.reply_channel.name}" if self.reply_channel else ""
        return f"<Message on {self.channel.name}{reply}>"
