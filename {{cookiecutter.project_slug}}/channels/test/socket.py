"""A socket of a browser, for tests of all that a frame brings about."""

from __future__ import annotations

import json
from typing import Any

from django.test import Client as DjangoClient

from ..layers.base import Content
from ..registry import DEFAULT_CHANNEL_LAYER
from .consuming import consume_next, require_route, work
from .interface_server import InterfaceServer
from .websocket import ConnectionRejected, WSClient


class Socket:
    """
    The socket of a browser at a path of the site.

    What it sends is consumed at once, with all messages that this brings about, on whatever channels; what comes back
    is returned. ``browser`` is the ``WSClient`` behind it: headers, cookies, the channel of the replies. ``client`` is
    a test client of Django's whose login it has.
    """

    def __init__(self, path: str = "/", client: DjangoClient | None = None, alias: str = DEFAULT_CHANNEL_LAYER) -> None:
        self.path = path
        self.browser = WSClient(alias, client=client)

    @property
    def session(self) -> Content:
        """The channel session, as the interface server keeps it."""
        server = InterfaceServer.of(self.browser.channel_layer)
        return server.session(self.browser.reply_channel)

    def connect(self, **content: Any) -> bool:
        """
        Open the socket; return whether it was accepted. What else has come waits for ``frames``.

        Raises ``AssertionError`` without a route: a test of who is refused would pass with a path that is none.
        """
        self.browser.send("websocket.connect", content, path=self.path)
        consumption = consume_next(self.browser.channel_layer, ["websocket.connect"])
        if consumption is not None:
            require_route(consumption, self.browser.alias, "websocket.connect")
        work(self.browser.alias)
        try:
            self.browser.take_acceptance()
        except ConnectionRejected:
            return False
        return True

    def send(self, text: Any = None, **content: Any) -> list[Any]:
        """Send a frame, and return the frames that came back. What is no text is sent as JSON."""
        self.put("websocket.receive", text, **content)
        return self.frames()

    def disconnect(self, code: int = 1000) -> None:
        """Close the socket, as the browser does when its page goes."""
        self.put("websocket.disconnect", code=code)

    def put(self, channel: str, text: Any = None, **content: Any) -> None:
        """Send a message of any channel, and do all work."""
        self.browser.send(channel, content, text, self.path)
        work(self.browser.alias)

    def frames(self) -> list[Any]:
        """
        Take what has come since the last look.

        Text that is JSON is decoded, other text and bytes are as they came. What is no frame is the whole message:
        ``{"close": 4404}``.
        """
        return [_frame(content) for content in self.received()]

    def received(self) -> list[Content]:
        """Take the messages that have come since the last look, as the consumers have sent them."""
        replies = InterfaceServer.of(self.browser.channel_layer).replies(self.browser.reply_channel)
        contents = [reply.content for reply in replies]
        replies.clear()
        return contents


def _frame(content: Content) -> Any:
    text, data = content.get("text"), content.get("bytes")
    if content.get("close") or (text is None and data is None):
        return content
    if not isinstance(text, str):
        return data if text is None else text
    try:
        return json.loads(text)
    except ValueError:
        return text
