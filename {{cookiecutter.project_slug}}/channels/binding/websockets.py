"""Bindings that speak JSON over sockets, each as a stream of a demultiplexer."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from django.core import serializers

from ..exceptions import FrameRefused
from ..generic.frames import decode_json, encode_json, shown
from ..generic.websockets import WebsocketMultiplexer
from ..layers.base import Content
from ..message import Message
from ..sessions import enforce_ordering
from .base import _ACTIONS, Binding


class WebsocketBinding(Binding):
    """
    A binding whose outbound messages are frames ``{"stream": …, "payload": …}`` for the sockets in its groups.

    The payload is ``{"action": …, "pk": …, "data": {field: value}, "model": "app.model"}``; an inbound one is the same,
    without ``model``, and without ``pk`` or ``data`` where the action has none. Name the ``stream``, and give
    ``consumer`` to a demultiplexer under the same name.

    ``send_members`` names what is sent besides fields: attributes, properties, methods without arguments, and paths to
    them such as ``"author.get_username"``, which is sent as ``author__get_username``, and is None without an author.
    """

    model = None
    strict_ordering = False
    send_members: ClassVar[Any] = ()

    # Outbound

    @classmethod
    def encode(cls, stream: Any, payload: Any) -> Content:
        """Return the frame for a payload. Raises ``ValueError`` if the binding has no stream."""
        if stream is None:
            raise ValueError(
                f"{cls.__module__}.{cls.__qualname__} has no stream. Name the one its payloads are sent on."
            )
        return WebsocketMultiplexer.encode(stream, payload)

    def serialize(self, instance: Any, action: str) -> Any:
        """Return the payload about an instance."""
        data = self.serialize_data(instance)
        return {"action": action, "pk": instance.pk, "data": data, "model": self.model_label}

    def serialize_data(self, instance: Any) -> dict[str, Any]:
        """Return the fields of an instance, and its ``send_members``, as values that JSON has."""
        text = serializers.serialize("json", [instance], fields=self.field_names())
        # JSON has no NaN, which a column of numbers may hold.
        [described] = json.loads(text, parse_constant=lambda constant: None)
        members = {path.replace(".", "__"): _member(instance, path) for path in self.send_members}
        data: dict[str, Any] = described["fields"] | json.loads(encode_json(members))
        return data

    # Inbound

    @classmethod
    def get_handler(cls) -> Any:
        """Return ``trigger_inbound`` with the decorators that the class asks for."""
        handler = super().get_handler()
        return enforce_ordering(handler) if cls.strict_ordering else handler

    @classmethod
    def trigger_inbound(cls, message: Message, **kwargs: Any) -> None:
        """Do what a frame asks for, or refuse it; that a socket opens or closes is no business of a binding."""
        if message.channel.name == "websocket.receive":
            super().trigger_inbound(message, **kwargs)

    def deserialize(self, message: Message) -> tuple[Any, Any, Any]:
        """Return action, pk and data of a frame, from which a demultiplexer has taken the payload."""
        try:
            payload = decode_json(message["text"])
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise FrameRefused("not_json", "This frame is no JSON in text.") from error
        if not isinstance(payload, dict):
            raise FrameRefused("malformed", f"A payload is an object, not {shown(payload)}.")
        if "action" not in payload:
            raise FrameRefused("malformed", f"This payload has no action; expected {_ACTIONS}.")
        return payload["action"], payload.get("pk"), payload.get("data")

    def refuse(self, refused: FrameRefused) -> None:
        """
        Answer a frame that was not followed, on the stream: ``{"error": …, "detail": …}``.

        ``refused`` in it is the action, and ``pk`` that of the frame. It is not called ``action``, or a page might take
        it for something that has happened.
        """
        answer = refused.answer() | {"refused": getattr(self, "action", None), "pk": getattr(self, "pk", None)}
        multiplexer = self.kwargs.get("multiplexer")
        if multiplexer is not None:
            multiplexer.send(answer)
        elif self.message.reply_channel is not None:
            self.message.reply_channel.send(self.encode(self.stream, answer))


class WebsocketBindingWithMembers(WebsocketBinding):
    """A ``WebsocketBinding``, which has ``send_members`` itself; Channels 1 had them here."""

    model = None


def _member(instance: Any, path: str) -> Any:
    member = instance
    for name in path.split("."):
        # A relation that leads nowhere is no reason for a save to fail.
        member = getattr(member, name) if member is not None else None
    return member() if callable(member) else member
