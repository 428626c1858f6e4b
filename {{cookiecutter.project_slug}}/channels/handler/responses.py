"""
Send a long response to the interface server, and learn that its client has left.

Parts of a response leave at once. After every ``WINDOW`` parts the sender waits until the interface server has taken
them, which it does at once as long as it has room for what its client has not read. So the layer never holds more than
that, and a worker waits for a client only when a response is very long. When the client leaves, the interface server
says so: a stream that ends when it likes learns of it before its next part, and asynchronous code is cancelled.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from ..exceptions import ChannelFull
from ..layers.base import BaseChannelLayer, Content
from ..message import Message
from ..registry import layer_behind

logger = logging.getLogger(__name__)

WINDOW = 4
# When the interface server finds no room for so long, in seconds, a response is given up: others wait for its worker.
ROOM_TIMEOUT = 10.0
# A reply channel that is full for so long, in seconds, has no reader any more.
FULL_TIMEOUT = 60.0
# When nothing has been heard for so long, in seconds, a listener looks whether anybody still waits for anything.
LISTEN_TIMEOUT = 10.0
_PAUSE = 0.02


class ClientGone(Exception):
    """Is raised when a response cannot be completed because its client left, or takes nothing any more."""


class ClientTooSlow(ClientGone):
    """Is raised when there is no room for what a client has not read."""


class ResponseSender:
    """Sends the parts of one response to the reply channel of its request."""

    def __init__(self, message: Message) -> None:
        self._reply_channel: Any = message.reply_channel
        self._layer = layer_behind(message.channel_layer)
        self._listener: Listener | None = None
        self._number = 0
        self._parts = 0
        self._taken = threading.Event()
        self._changing = threading.Lock()
        self._on_leaving: Callable[[], object] | None = None
        # Whether the client has left.
        self.left = False

    def send(self, reply: Content) -> None:
        """Send a part; the last one leaves with the other sends of the consumer. Raises ``ClientGone``."""
        *parts, last = self._fitting(reply)
        for part in parts:
            self._send_part(part)
        if last.get("more_content"):
            self._send_part(last)
        else:
            self._reply_channel.send(last)

    def announce(self) -> None:
        """Ask the interface server to say when the client leaves, before the response has begun."""
        if self._listener is None:
            self._send_now(self._address())

    def call_on_leaving(self, action: Callable[[], object] | None) -> None:
        """Have something done when the client leaves, in another thread; at once if it has left; None for nothing."""
        with self._changing:
            self._on_leaving, left = action, self.left
        if left and action is not None:
            action()

    def hear(self, closed: bool) -> None:
        """Be told that the interface server has taken what was sent, or that the client has left."""
        if closed:
            with self._changing:
                self.left, action = True, self._on_leaving
                if action is not None:
                    action()
        self._taken.set()

    def abort(self) -> None:
        """Have a response that has begun cut off, so that nobody takes it for a whole one."""
        if self._parts:
            self._send_now({"abort": True})

    def close(self) -> None:
        """Be told nothing more."""
        if self._listener is not None:
            self._listener.remove(self._number)

    def _fitting(self, reply: Content) -> Iterator[Content]:
        """Cut a part into such as the layer takes in one message."""
        data, size = reply.get("content", b""), self._layer.chunk_size
        while len(data) > size:
            yield {**reply, "content": data[:size], "more_content": True}
            reply, data = {"more_content": reply.get("more_content", False)}, data[size:]
        yield {**reply, "content": data}

    def _send_part(self, part: Content) -> None:
        self._raise_if_left()
        self._parts += 1
        part = {**part, **self._address()}
        if self._parts % WINDOW:
            self._send_now(part)
            return
        self._taken.clear()
        self._send_now({**part, "ack": True})
        if not self._taken.wait(ROOM_TIMEOUT):
            self.abort()
            raise ClientTooSlow(
                f"its client reads slowly, and there has been no room for it for {ROOM_TIMEOUT:.0f} s. "
                "Raise 'response_limit' and 'spool_size' in CHANNELS_INTERFACE, or have the proxy serve long files"
            )
        self._raise_if_left()

    def _raise_if_left(self) -> None:
        if self.left:
            raise ClientGone("the client has left")

    def _address(self) -> Content:
        if self._listener is None:
            self._listener, self._number = Listener.add(self._layer, self)
        return {"worker": [self._listener.channel, self._number]}

    def _send_now(self, reply: Content) -> None:
        deadline = time.monotonic() + FULL_TIMEOUT
        while True:
            try:
                self._reply_channel.send(reply, immediately=True)
                return
            except ChannelFull as error:
                if time.monotonic() > deadline:
                    raise ClientGone(f"its reply channel has been full for {FULL_TIMEOUT:.0f} s") from error
                time.sleep(_PAUSE)


class Listener:
    """Hears what interface servers say of the responses of this process, as long as there are any that want to."""

    def __init__(self, layer: BaseChannelLayer) -> None:
        self.channel: str = layer.new_channel("http.response.news?")
        self._layer = layer
        self._senders: dict[int, ResponseSender] = {}
        self._numbers = itertools.count()

    @classmethod
    def add(cls, layer: BaseChannelLayer, sender: ResponseSender) -> tuple[Listener, int]:
        """Have a response hear what is said of it; return the listener of its layer, and its number there."""
        with _changing:
            listener = _listeners.get(layer)
            if listener is None:
                listener = _listeners[layer] = cls(layer)
                threading.Thread(target=listener._listen, name="responses", daemon=True).start()
            number = next(listener._numbers)
            listener._senders[number] = sender
        return listener, number

    def remove(self, number: int) -> None:
        """Let a response hear no more."""
        self._senders.pop(number, None)

    def _listen(self) -> None:
        while self._is_needed():
            try:
                _, news = self._layer.receive([self.channel], block=True, timeout=LISTEN_TIMEOUT)
            except Exception as error:
                self._layer.outage.goes_on(error, "responses")
                time.sleep(1)
                continue
            self._layer.outage.is_over("responses")
            if news is not None:
                self._pass_on(news)

    def _pass_on(self, news: Content) -> None:
        try:
            sender = self._senders.get(news["response"])
            if sender is not None:
                sender.hear(news["closed"])
        except Exception:
            # One response must not deafen all others.
            logger.exception("What an interface server says of a response could not be heard: %r", news)

    def _is_needed(self) -> bool:
        with _changing:
            if not self._senders:
                del _listeners[self._layer]
            return bool(self._senders)


_listeners: dict[BaseChannelLayer, Listener] = {}
_changing = threading.Lock()
