"""Consumers as a site writes them that is checked strictly: `make check` looks at this file as at the engine."""

from __future__ import annotations

from typing import Any, assert_type

from channels.exceptions import FrameRefused
from channels.generic import BaseConsumer
from channels.generic.websockets import (
    JsonWebsocketConsumer,
    WebsocketConsumer,
    WebsocketDemultiplexer,
    WebsocketMultiplexer,
)
from channels.message import Message
from channels.routing import Route


class Reports(BaseConsumer):
    method_mapping = {"reports.make": "make"}

    def make(self, message: Message) -> None:
        assert_type(self.message, Message)


class Echo(WebsocketConsumer):
    http_user = True
    allowed_hosts_only = False
    strict_ordering = True
    groups = ["a", "b"]

    def connection_groups(self, room: str) -> list[str]:
        return [room]

    def connect(self, message: Message, room: str) -> None:
        super().connect(message, room=room)
        assert_type(self.path, str)

    def receive(self, text: str | None = None, bytes: bytes | None = None, **kwargs: Any) -> None:
        self.send(text=text, bytes=bytes)
        self.group_send("a", text="b", close=4001)
        Echo.group_send("a", text="b")
        Echo.group_send("a", {"b": 1})  # type: ignore[arg-type]

    def disconnect(self, message: Message, **kwargs: Any) -> None:
        self.close(4001)


class Json(JsonWebsocketConsumer):
    def connect(self, message: Message, multiplexer: WebsocketMultiplexer, **kwargs: Any) -> None:
        multiplexer.send({"a": 1})
        multiplexer.group_send("a", "b", {})
        WebsocketMultiplexer.group_send("a", "b", {})

    def receive(self, content: Any, multiplexer: WebsocketMultiplexer) -> None:
        self.send(content)
        self.group_send("a", content)
        self.group_send("a", text="b")  # type: ignore[call-arg]
        raise FrameRefused("gone", "There is no row 1.", pk=1)

    @classmethod
    def decode_json(cls, text: str) -> Any:
        return super().decode_json(text)


class Streams(WebsocketDemultiplexer):
    consumers = {"json": Json}
    groups = ("a",)

    def connect(self, message: Message, **kwargs: Any) -> None:
        super().connect(message, **kwargs)


assert_type(Streams.as_route(path="^/", attrs={"groups": []}), Route)
