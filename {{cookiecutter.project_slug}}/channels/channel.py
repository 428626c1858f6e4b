"""Channels and groups as consumers and the rest of a site use them."""

from __future__ import annotations

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured

from .exceptions import InvalidMessage
from .layers.base import Content
from .layers.sends import held_sends
from .registry import DEFAULT_CHANNEL_LAYER, AnyLayer, channel_layers, layer_behind
from .values.delays import CHANNEL as DELAY_CHANNEL
from .values.delays import delayed, require_delay
from .values.names import require_channel_name, require_group_name


class Channel:
    """
    A channel to send to, by name.

    The layer is found by ``alias``, or given as ``channel_layer``. Raises ``InvalidName``.
    """

    def __init__(
        self, name: str | bytes, alias: str = DEFAULT_CHANNEL_LAYER, channel_layer: AnyLayer | None = None
    ) -> None:
        self.name = require_channel_name(_text(name))
        self.channel_layer: AnyLayer = channel_layer or channel_layers[alias]

    @classmethod
    def known(cls, name: str, channel_layer: AnyLayer) -> Channel:
        """Return the channel of a name that has come through its layer, where it was checked."""
        channel = cls.__new__(cls)
        channel.name = name
        channel.channel_layer = channel_layer
        return channel

    def send(self, content: Content, immediately: bool = False, delay: float = 0) -> None:
        """
        Send a dict, or have it sent ``delay`` seconds later by the app ``channels.delay``.

        Inside a consumer the message leaves when the consumer has finished, unless ``immediately`` is true, and a delay
        begins then. Raises ``InvalidMessage`` or ``MessageTooLarge``; and ``ChannelFull`` if it leaves at once. For a
        delay that makes no sense it raises ``ValueError``, and without that app ``ImproperlyConfigured``.
        """
        name, content = self.name, _require_dict(self.name, content)
        if delay != 0 and (seconds := require_delay(delay)):
            if not apps.is_installed("channels.delay"):
                raise ImproperlyConfigured(
                    f"A message to {name!r} is to be sent {delay} seconds later; the app for that is not installed. "
                    "Add 'channels.delay' to INSTALLED_APPS, and run 'manage.py migrate' and 'manage.py rundelay'."
                )
            name, content = DELAY_CHANNEL, delayed(name, content, seconds)
        _send(self.channel_layer, name, content, immediately, to_group=False)

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<Channel {self.name}>"


class Group:
    """
    A group of channels to send to, by name.

    The layer is found by ``alias``, or given as ``channel_layer``. Raises ``InvalidName``.
    """

    def __init__(
        self, name: str | bytes, alias: str = DEFAULT_CHANNEL_LAYER, channel_layer: AnyLayer | None = None
    ) -> None:
        self.name = require_group_name(_text(name))
        self.channel_layer: AnyLayer = channel_layer or channel_layers[alias]

    def add(self, channel: Channel | str) -> None:
        """Let a channel join, at once. A member stays one."""
        self.channel_layer.group_add(self.name, str(channel))

    def discard(self, channel: Channel | str) -> None:
        """Let a channel leave, at once. Nothing happens if it is no member."""
        self.channel_layer.group_discard(self.name, str(channel))

    def send(self, content: Content, immediately: bool = False) -> None:
        """
        Send a dict to every channel in the group; members whose queue is full miss it, and are counted.

        Inside a consumer the message leaves when the consumer has finished, unless ``immediately`` is true.
        Raises ``InvalidMessage`` or ``MessageTooLarge``.
        """
        _send(self.channel_layer, self.name, _require_dict(self.name, content), immediately, to_group=True)

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<Group {self.name}>"


def _send(channel_layer: AnyLayer, name: str, content: Content, immediately: bool, to_group: bool) -> None:
    layer, held = layer_behind(channel_layer), held_sends()
    ticket = None if held is None or to_group else held.ticket_along(layer, content)
    send = layer.prepare(name, content, to_group, ticket)
    if held is not None and not immediately and held.hold(layer, send):
        return
    if layer.send_many([send]):
        raise layer.ChannelFull(layer.describe_full(name))


def _require_dict(name: str, content: Content) -> Content:
    if not isinstance(content, dict):
        raise InvalidMessage(f"What is sent to {name!r} must be a dict, not {type(content).__name__}.")
    return content


def _text(name: str | bytes) -> str:
    """Return a name as text: clients of a store, which may have kept it, give bytes."""
    return name.decode("ascii", "replace") if isinstance(name, bytes) else name
