"""
The engine's exceptions.

    ChannelsException
    ├── InvalidChannelLayerError     a mistake in CHANNEL_LAYERS or in the routing
    ├── InvalidName                  a channel or group name that no layer takes
    ├── InvalidMessage               content that no layer can carry
    │   └── MessageTooLarge          content above the layer's size limit
    ├── ChannelFull                  the channel has reached its capacity
    ├── ChannelLayerUnavailable      the store behind the layer does not answer
    ├── RequestAborted               the client left while its body was being read
    │   └── RequestTimeout           nothing more of the body came from the interface server
    ├── ConsumeLater                 a consumer asks for this message again, later
    ├── DenyConnection               a connect consumer refuses the socket
    ├── FrameRefused                 a class-based consumer answers a frame that it cannot follow
    ├── SendNotAvailableOnDemultiplexer  a frame of a demultiplexed socket without a stream
    └── ChannelSocketException       a consumer ends with an action on its socket
        └── WebsocketCloseException  … closing it with a code

    BaseException
    └── ResponseLater                a view says that another consumer will answer
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .message import Message


class ChannelsException(Exception):
    """Is the root of everything the engine raises, ``ResponseLater`` apart."""


class InvalidChannelLayerError(ChannelsException, ValueError):
    """Is raised for a mistake in ``CHANNEL_LAYERS`` or in the routing it names."""


class InvalidName(ChannelsException, ValueError):
    """Is raised for a malformed channel or group name."""


class InvalidMessage(ChannelsException, TypeError, ValueError):
    """
    Is raised for content that cannot travel through a channel layer.

    It is a ``TypeError`` and a ``ValueError``, since ``Channel.send`` raised the one and ``Group.send`` the
    other in Channels 1.
    """


class MessageTooLarge(InvalidMessage):
    """Is raised for content above the layer's ``max_message_size``."""


class ChannelFull(ChannelsException):
    """Is raised by a layer's ``send`` when the channel has reached its capacity."""


class ChannelLayerUnavailable(ChannelsException):
    """
    Is raised when the store behind a layer cannot be reached, or refuses to work.

    ``uncertain`` says whether what was asked for may have been done all the same.
    """

    def __init__(self, reason: str, uncertain: bool = False) -> None:
        super().__init__(reason)
        self.uncertain = uncertain


class RequestAborted(ChannelsException):
    """Is raised when the client left while its request body was being read."""


class RequestTimeout(RequestAborted):
    """Is raised when an interface server sends no more of a body that it has announced."""


class ConsumeLater(ChannelsException):
    """
    Is raised by a consumer to see its message again later.

    The message goes to the end of its channel, ten times at most; then it is dropped with a warning.
    """


class DenyConnection(ChannelsException):
    """Is raised by a ``websocket.connect`` consumer to refuse the socket with status 403."""


class FrameRefused(ChannelsException):
    """
    Is raised by a consumer that takes JSON, to say no to a frame; its socket stays.

    ``error`` is a word for the program at the other end, ``detail`` a sentence for whoever wrote it. What more is
    given, for example the ``pk`` that a frame was about, goes into the answer too, and has to fit into JSON.
    """

    def __init__(self, error: str, detail: str, **more: Any) -> None:
        super().__init__(error, detail)
        self.error = error
        self.detail = detail
        self.more = more

    def answer(self) -> dict[str, Any]:
        """Return what the client is sent: ``{"error": …, "detail": …}``, and what more there is."""
        return {**self.more, "error": self.error, "detail": self.detail}


class SendNotAvailableOnDemultiplexer(ChannelsException):
    """Is raised for what would be sent to a demultiplexed socket without the stream it belongs to."""


class ChannelSocketException(ChannelsException):
    """Is the root of exceptions that end a consumer with an action on the socket, in ``run``."""

    def run(self, message: Message) -> None:
        """Act on the socket that ``message`` came from."""
        raise NotImplementedError(f"{type(self).__name__} must say in run(message) what happens to the socket.")


class WebsocketCloseException(ChannelSocketException):
    """
    Is raised by a consumer to close its socket.

    ``code`` is 1000 or 3000 to 4999 (RFC 6455, section 7.4.2); left out, the socket closes with 1000.
    """

    def __init__(self, code: int | None = None) -> None:
        if code is not None and code != 1000 and not 3000 <= code <= 4999:
            raise ValueError(f"A consumer may close a socket with code 1000 or 3000 to 4999, not with {code!r}.")
        self.code = code
        super().__init__(code)

    def run(self, message: Message) -> None:
        """Close the socket that ``message`` came from. Raises ``ValueError`` if it came from none."""
        if message.reply_channel is None:
            raise ValueError(f"There is no socket to close: {message!r} has no reply_channel.")
        message.reply_channel.send({"close": self.code or True})


class ResponseLater(BaseException):
    """
    Is raised by a view whose answer another consumer will send, for example that of a long poll.

    It is a ``BaseException`` so that it passes Django's own handling of errors, and every middleware's,
    and reaches the view consumer.
    """
