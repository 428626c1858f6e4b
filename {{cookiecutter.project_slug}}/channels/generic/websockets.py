"""
Consumers of sockets as classes: in text and bytes, in JSON, and several of them on one socket.

They are a thin layer over the decorators: what an attribute switches on is what the decorator of that name does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from ..auth import channel_and_http_session_user_from_http, channel_session_user_from_http
from ..channel import Channel, Group
from ..exceptions import FrameRefused, InvalidChannelLayerError, SendNotAvailableOnDemultiplexer
from ..layers.base import Content
from ..message import Message
from ..registry import AnyLayer
from ..routing import Consumer
from ..sessions import enforce_ordering
from . import frames
from .base import BaseConsumer, class_or_instance_method
from .opening import opening


class WebsocketConsumer(BaseConsumer):
    """
    A consumer of sockets. Give it ``connect``, ``receive`` and ``disconnect``.

    ``path`` is that of the socket. ``groups``, or what ``connection_groups`` returns, are joined when ``connect`` has
    accepted the socket, and left when it has ended.
    """

    method_mapping: ClassVar[Mapping[str, str]] = {
        "websocket.connect": "raw_connect",
        "websocket.receive": "raw_receive",
        "websocket.disconnect": "raw_disconnect",
    }
    # Whether the worker refuses sockets that are opened by pages of other sites, as it does for every consumer.
    allowed_hosts_only: bool = True
    # message.user from the visitor's session, kept in the channel session for later messages.
    http_user: bool = False
    # The same, and message.http_session on every message.
    http_user_and_session: bool = False
    # Close a socket of which a message is lost.
    strict_ordering: bool = False
    # Gone since Channels 1.0, where order within a socket came to stay.
    slight_ordering: bool = False
    # Names of groups. connection_groups() is for those that depend on the socket.
    groups: Iterable[str | bytes] | None = None

    path: str
    # How a consumer of one stream of a socket answers; None if it has the socket for itself.
    multiplexer: WebsocketMultiplexer | None = None

    def __init__(self, message: Message, **kwargs: Any) -> None:
        multiplexer = kwargs.get("multiplexer")
        if isinstance(multiplexer, WebsocketMultiplexer):
            self.multiplexer = multiplexer
        super().__init__(message, **kwargs)

    def get_handler(self, message: Message, **kwargs: Any) -> Consumer:
        """Return the method for this message, with the decorators that the class asks for."""
        self.path = message.get("path", "")
        if self.http_user or self.http_user_and_session:
            self.channel_session_user = True
        handler = super().get_handler(message, **kwargs)
        if self.http_user_and_session:
            handler = channel_and_http_session_user_from_http(handler)
        elif self.http_user:
            handler = channel_session_user_from_http(handler)
        if self.strict_ordering or self.slight_ordering:
            handler = enforce_ordering(handler, slight=self.slight_ordering)
        return handler

    def connection_groups(self, *args: Any, **kwargs: Any) -> Iterable[str | bytes] | None:
        """Return the names of the groups of this socket. ``kwargs`` is what the routing has captured."""
        return self.groups

    def raw_connect(self, message: Message, **kwargs: Any) -> None:
        """Take a ``websocket.connect`` message."""
        with opening(message) as socket:
            # Before the consumer, so that a name which is none refuses the socket before it has done anything.
            socket.groups.update({group.name: group for group in self._groups(kwargs)})
            self.connect(message, **kwargs)

    def connect(self, message: Message, *args: Any, **kwargs: Any) -> None:
        """Accept a socket, or raise ``DenyConnection``."""
        # That of a stream has been accepted.
        if self.multiplexer is None:
            self._reply_channel.send({"accept": True})

    def raw_receive(self, message: Message, **kwargs: Any) -> None:
        """Take a ``websocket.receive`` message."""
        if message.get("text") is not None:
            self.receive(text=message["text"], **kwargs)
        else:
            self.receive(bytes=message["bytes"], **kwargs)

    def receive(self, *args: Any, **kwargs: Any) -> None:
        """Take a frame: it comes as ``text`` or as ``bytes``, beside what the routing has captured."""

    def raw_disconnect(self, message: Message, **kwargs: Any) -> None:
        """Take a ``websocket.disconnect`` message."""
        try:
            for group in self._groups(kwargs):
                group.discard(self._reply_channel)
        finally:
            self.disconnect(message, **kwargs)

    def disconnect(self, message: Message, *args: Any, **kwargs: Any) -> None:
        """Do what there is to do when a socket has ended."""

    def send(self, text: str | None = None, bytes: bytes | None = None, close: bool | int = False) -> None:
        """Send a frame to this socket; ``close``, true or a code, closes it after that."""
        if self.multiplexer is not None:
            raise SendNotAvailableOnDemultiplexer(
                "What a stream sends is JSON: use multiplexer.send(payload), or derive from JsonWebsocketConsumer."
            )
        self._reply_channel.send(_frame(text, bytes, close))

    @class_or_instance_method
    def group_send(
        self: Any,
        name: str | bytes,
        text: str | None = None,
        bytes: bytes | None = None,
        close: bool | int = False,
    ) -> None:
        """Send a frame to a group, over the layer of the message; if called on the class, over the default layer."""
        _send_to_group(self, name, _frame(text, bytes, close))

    def close(self, status: bool | int = True) -> None:
        """Close this socket: with status 1000, or with a code. One that is still connecting is refused."""
        self._reply_channel.send({"close": status})

    @property
    def _reply_channel(self) -> Channel:
        channel = self.message.reply_channel
        if channel is None:
            raise ValueError(f"{self.message!r} comes from no socket: it has no reply_channel.")
        return channel

    def _groups(self, kwargs: dict[str, Any]) -> list[Group]:
        names = self.connection_groups(**kwargs)
        if isinstance(names, str | bytes):
            raise TypeError(
                f"The groups of {type(self).__qualname__} are the text {names!r}; expected a list of names."
            )
        return [Group(name, channel_layer=self.channel_layer) for name in names or ()]


class JsonWebsocketConsumer(WebsocketConsumer):
    """
    A consumer of sockets on which both sides send JSON.

    What is no JSON is answered, and so is each ``FrameRefused`` that ``receive`` raises.
    """

    def raw_receive(self, message: Message, **kwargs: Any) -> None:
        """Take a ``websocket.receive`` message."""
        try:
            self.receive(self._content_of(message), **kwargs)
        except FrameRefused as refused:
            self._refuse(refused)

    def receive(self, content: Any, *args: Any, **kwargs: Any) -> None:
        """Take what was in a frame: whatever JSON can hold."""

    def send(self, content: Any, close: bool | int = False) -> None:  # type: ignore[override]
        """Send content to this socket, on its stream if it has one; ``close``, true or a code, closes it after that."""
        if self.multiplexer is None:
            super().send(text=self.encode_json(content), close=close)
            return
        self.multiplexer.send(content)
        if close:
            self.close(close)

    @class_or_instance_method
    def group_send(  # type: ignore[override]
        self: Any, name: str | bytes, content: Any, close: bool | int = False
    ) -> None:
        """
        Send content to a group, over the layer of the message; if called on the class, over the default layer.

        A consumer of a stream sends it on its stream. The class knows of none: see ``WebsocketMultiplexer.group_send``.
        """
        if self.multiplexer is None:
            _send_to_group(self, name, _frame(self.encode_json(content), None, close))
        else:
            self.multiplexer.group_send(name, self.multiplexer.stream, content, close)

    @classmethod
    def decode_json(cls, text: str) -> Any:
        """Return what is in the text of a frame. Raises ``ValueError`` if that cannot be said."""
        return frames.decode_json(text)

    @classmethod
    def encode_json(cls, content: Any) -> str:
        """Return the text of a frame."""
        return frames.encode_json(content)

    def _content_of(self, message: Message) -> Any:
        text = message.get("text")
        if text is None:
            raise FrameRefused("not_text", "This frame is binary; expected text, with JSON in it.")
        try:
            return self.decode_json(text)
        except (ValueError, RecursionError) as error:
            raise FrameRefused("not_json", f"This frame is no JSON: {error}.") from error

    def _refuse(self, refused: FrameRefused) -> None:
        self.send(refused.answer())


class WebsocketMultiplexer:
    """One stream of a socket, for the consumers behind it: it puts what they send into the frames of that stream."""

    # The layer of the socket; what is called on the class itself uses this one, None for the default layer.
    channel_layer: AnyLayer | None = None

    def __init__(self, stream: str, reply_channel: Channel) -> None:
        self.stream = stream
        self.reply_channel = reply_channel
        self.channel_layer = reply_channel.channel_layer

    def send(self, payload: Any) -> None:
        """Send a payload to the socket."""
        self.reply_channel.send(self.encode(self.stream, payload))

    @classmethod
    def encode(cls, stream: str, payload: Any) -> Content:
        """Return the message with the frame of a payload: ``{"stream": …, "payload": …}``."""
        return {"text": cls.encode_json({"stream": stream, "payload": payload})}

    @classmethod
    def encode_json(cls, content: Any) -> str:
        """Return the text of a frame."""
        return frames.encode_json(content)

    @class_or_instance_method
    def group_send(self: Any, name: str | bytes, stream: str, payload: Any, close: bool | int = False) -> None:
        """Send a payload to a group, over the layer of the socket; if called on the class, over the default layer."""
        content = self.encode(stream, payload)
        _send_to_group(self, name, {**content, "close": close} if close else content)


class WebsocketDemultiplexer(JsonWebsocketConsumer):
    """
    A consumer of sockets that carry several streams, each with a consumer of its own.

    A frame is ``{"stream": …, "payload": {…}}``. Its payload goes to the consumer of that name in ``consumers``, as the
    text of a message; connect and disconnect messages go to all. Each gets a ``multiplexer`` to answer with.
    """

    consumers: ClassVar[Mapping[str, Consumer]] = {}
    multiplexer_class: ClassVar[type[WebsocketMultiplexer]] = WebsocketMultiplexer

    @classmethod
    def channel_names(cls) -> set[str]:
        """Return the channels that this consumer reads. Raises ``InvalidChannelLayerError`` for what is no consumer."""
        for stream, consumer in cls.consumers.items():
            if not callable(consumer):
                raise InvalidChannelLayerError(
                    f"{cls.__qualname__}.consumers has {consumer!r} for the stream {stream!r}; expected a consumer."
                )
        return super().channel_names()

    def connect(self, message: Message, *args: Any, **kwargs: Any) -> None:
        """Accept a socket, and have the consumers of all streams connect; one of them may refuse it."""
        self._reply_channel.send({"accept": True})
        for stream in self.consumers:
            self._run(self._multiplexer(stream), message.copy(), kwargs)

    def receive(self, content: Any, *args: Any, **kwargs: Any) -> None:
        """Hand a payload on to the consumer of its stream."""
        if not isinstance(content, dict) or "stream" not in content:
            raise FrameRefused("malformed", f'A frame is {{"stream": …, "payload": …}}, not {frames.shown(content)}.')
        stream = content["stream"]
        if not isinstance(stream, str) or stream not in self.consumers:
            known = ", ".join(map(frames.shown, self.consumers)) or "none"
            raise FrameRefused("unknown_stream", f"There is no stream {frames.shown(stream)}; there are: {known}.")
        multiplexer = self._multiplexer(stream)
        try:
            text = self._payload_text(content)
            self._run(multiplexer, self.message.with_content({**self.message.content, "text": text}), kwargs)
        except FrameRefused as refused:
            multiplexer.send(refused.answer())

    def disconnect(self, message: Message, *args: Any, **kwargs: Any) -> None:
        """Have the consumers of all streams disconnect, whatever becomes of one of them."""
        self._disconnect(iter(self.consumers), message, kwargs)

    def send(self, *args: Any, **kwargs: Any) -> None:
        """Raise ``SendNotAvailableOnDemultiplexer``: each frame belongs to a stream."""
        raise SendNotAvailableOnDemultiplexer("Each frame belongs to a stream: use the send of its multiplexer.")

    @class_or_instance_method
    def group_send(self: Any, *args: Any, **kwargs: Any) -> None:
        """Raise ``SendNotAvailableOnDemultiplexer``: each frame belongs to a stream."""
        raise SendNotAvailableOnDemultiplexer(
            "Each frame belongs to a stream: use WebsocketMultiplexer.group_send(name, stream, payload)."
        )

    def _multiplexer(self, stream: str) -> WebsocketMultiplexer:
        return self.multiplexer_class(stream, self._reply_channel)

    def _run(self, multiplexer: WebsocketMultiplexer, message: Message, kwargs: dict[str, Any]) -> None:
        self.consumers[multiplexer.stream](message, **{**kwargs, "multiplexer": multiplexer})

    def _disconnect(self, streams: Iterator[str], message: Message, kwargs: dict[str, Any]) -> None:
        for stream in streams:
            try:
                self._run(self._multiplexer(stream), message.copy(), kwargs)
            except BaseException:
                # What the others raise has this one as its context, so the log shows all.
                self._disconnect(streams, message, kwargs)
                raise

    def _payload_text(self, content: dict[str, Any]) -> str:
        if not isinstance(content.get("payload"), dict):
            found = f"not {frames.shown(content['payload'])}" if "payload" in content else "and is missing here"
            raise FrameRefused("malformed", f"The payload of a frame is an object, {found}.")
        try:
            return self.encode_json(content["payload"])
        except (ValueError, RecursionError) as error:
            raise FrameRefused("not_json", f"This payload cannot be handed on: {error}.") from error

    def _refuse(self, refused: FrameRefused) -> None:
        self._reply_channel.send({"text": self.encode_json(refused.answer())})


def _frame(text: str | None, data: bytes | None, close: bool | int) -> Content:
    """Return the message for a frame, for a close, or for one after the other."""
    if text is not None and data is not None:
        raise ValueError("A frame has either text or bytes; both were given.")
    content = {"text": text, "bytes": data, "close": close or None}
    content = {key: value for key, value in content.items() if value is not None}
    if not content:
        raise ValueError("A frame needs text or bytes; neither was given, and nothing is to be closed.")
    return content


def _send_to_group(owner: Any, name: str | bytes, content: Content) -> None:
    Group(name, channel_layer=owner.channel_layer).send(content)
