"""
Send a long response at the pace of its client.

Parts of a response leave at once. After every ``WINDOW`` parts the sender asks for an acknowledgement, which the
interface server gives when the client has taken them; so neither the layer nor the interface server has to
hold more than that of a download, and a worker learns that a client has gone.
"""

from __future__ import annotations

import time
from typing import Any

from .exceptions import ChannelFull
from .layers.base import Content
from .message import Message

WINDOW = 4
# A client that takes nothing for so long, in seconds, loses its response.
CLIENT_TIMEOUT = 60.0
_PAUSE = 0.02


class ClientGone(Exception):
    """Is raised when a response cannot be completed because its client left, or takes nothing any more."""


class ResponseSender:
    """Sends the parts of one response to the reply channel of its request."""

    def __init__(self, message: Message) -> None:
        self._reply_channel: Any = message.reply_channel
        self._layer = message.channel_layer
        self._ack_channel = ""
        self._parts = 0

    def send(self, reply: Content) -> None:
        """Send a part; the last one leaves with the other sends of the consumer. Raises ``ClientGone``."""
        if not reply.get("more_content"):
            self._reply_channel.send(reply)
            return
        self._parts += 1
        if self._parts % WINDOW:
            self._send_now(reply)
            return
        self._ack_channel = self._ack_channel or self._layer.new_channel("http.response.ack?")
        self._send_now({**reply, "ack": self._ack_channel})
        self._wait_for_ack()

    def abort(self) -> None:
        """Have a response that has begun cut off, so that nobody takes it for a whole one."""
        if self._parts:
            self._send_now({"abort": True})

    def _send_now(self, reply: Content) -> None:
        deadline = time.monotonic() + CLIENT_TIMEOUT
        while True:
            try:
                self._reply_channel.send(reply, immediately=True)
                return
            except ChannelFull as error:
                if time.monotonic() > deadline:
                    raise ClientGone(f"its reply channel has been full for {CLIENT_TIMEOUT:.0f} s") from error
                time.sleep(_PAUSE)

    def _wait_for_ack(self) -> None:
        deadline = time.monotonic() + CLIENT_TIMEOUT
        while (left := deadline - time.monotonic()) > 0:
            _, ack = self._layer.receive([self._ack_channel], block=True, timeout=left)
            if ack is not None:
                if ack.get("closed"):
                    raise ClientGone("the client has left")
                return
        self.abort()
        raise ClientGone(f"the client has taken nothing for {CLIENT_TIMEOUT:.0f} s")
