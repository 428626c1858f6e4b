"""
Run the consumer of one message.

One guard stands around all of that: whatever a message does, it is logged, and the worker goes on.
"""

from __future__ import annotations

import functools
import logging
import traceback
from collections.abc import Callable
from typing import Any, Protocol

from django.conf import settings
from django.core.handlers.asgi import get_script_prefix
from django.urls import set_script_prefix

from ..exceptions import ChannelSocketException, ConsumeLater, DenyConnection, ResponseLater
from ..layers.base import Content, Delivery
from ..layers.content import copy_received
from ..layers.origin import Origin
from ..layers.sends import HeldSends
from ..message import Message
from ..registry import ChannelLayerWrapper
from ..routing import Consumer, describe
from ..security.websockets import check_origin
from ..signals import consumer_finished, consumer_started
from .database import close_old_connections
from .watchdog import RunningConsumer

logger = logging.getLogger(__name__)

_RETRIES_KEY = "__retries__"


class Surroundings(Protocol):
    """
    What a message finds around it, which is a worker.

    ``callback`` is called with channel name and message before each consumer; a message may be put back
    ``message_retries`` times.
    """

    channel_layer: ChannelLayerWrapper
    callback: Callable[[str, Message], None] | None
    message_retries: int


class Consumption:
    """
    One message in the hands of a worker.

    ``held`` is what its consumer sends, ``running`` tells others of the consumer while it runs. Tests look at what came
    of it: the ``consumer``, None if no route matched; its ``result``; and the ``error`` that was logged.
    """

    def __init__(self, worker: Surroundings, delivery: Delivery) -> None:
        channel, content, ticket = delivery
        self._layer = worker.channel_layer.channel_layer
        origin = None if ticket is None else Origin(self._layer, content["reply_channel"], ticket)
        self.held = HeldSends(origin)
        self.running: RunningConsumer | None = None
        self.consumer: Consumer | None = None
        self.result: Any = None
        self.error: BaseException | None = None
        self._worker = worker
        self._channel = channel
        self._content = content
        self._origin = origin

    def run(self) -> None:
        """Run the consumer. ``SystemExit`` and ``KeyboardInterrupt`` come out."""
        try:
            _set_script_prefix(self._content)
            # The consumer may change the content, and ConsumeLater puts the message back as it was.
            content = copy_received(self._content)
            message = Message(content, self._channel, self._worker.channel_layer, self._origin)
            found = self._worker.channel_layer.router.match(message)
        except Exception as error:
            self.error = error
            logger.exception("A message on %s could not be routed and is dropped: %r", self._channel, [*self._content])
            return
        if found is None:
            advice = f"No route matches, for example for path {message.get('path')!r}. Add one to the ROUTING."
            self._layer.statistics.count_dropped(self._channel, "no route", advice)
            return
        consumer, kwargs = found
        self.consumer = consumer
        self.running = RunningConsumer(consumer, message)
        logger.debug("Running %s", self.running)
        with self.held:
            self._call(consumer, message, kwargs)
        self.running = None
        if self._origin is not None:
            # The two refer to each other, and would be garbage that has to be looked for.
            self._origin.channel_session = None

    def _call(self, consumer: Consumer, message: Message, kwargs: dict[str, Any]) -> None:
        worker = self._worker
        try:
            close_old_connections()
            consumer_started.send(sender=type(worker), environ={}, message=message)
            if worker.callback is not None:
                worker.callback(self._channel, message)
            if self._channel == "websocket.connect":
                check_origin(consumer, message)
            self.result = consumer(message, **kwargs)
        except DenyConnection:
            self._deny(message, consumer)
        except ChannelSocketException as error:
            _guarded(functools.partial(error.run, message), consumer, message)
        except ConsumeLater:
            _guarded(functools.partial(self._put_back, message), consumer, message)
        except BaseException as error:
            self.error = error
            _log_failure(consumer, message)
            _guarded(functools.partial(self._answer_failure, message, error), consumer, message)
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
        finally:
            self._announce_end(consumer, message)

    def _announce_end(self, consumer: Consumer, message: Message) -> None:
        try:
            consumer_finished.send(sender=type(self._worker), environ={}, message=message)
        except Exception:
            _log_failure(consumer, message, "After the consumer something failed")
        finally:
            # After everything else, for all of it may use the database.
            _guarded(close_old_connections, consumer, message)

    def _deny(self, message: Message, consumer: Consumer) -> None:
        if self._channel != "websocket.connect" or message.reply_channel is None:
            _log_failure(consumer, message, "DenyConnection is for websocket.connect consumers; nothing is denied")
            return
        self.held.discard(message.reply_channel.name)
        message.reply_channel.send({"accept": False})

    def _put_back(self, message: Message) -> None:
        retries, layer, origin = self._content.get(_RETRIES_KEY, 0), self._layer, self._origin
        if type(retries) is not int or retries < 0:
            # Whoever sends a message may put anything there.
            retries = 0
        if retries >= self._worker.message_retries:
            advice = f"ConsumeLater was raised {retries + 1} times for the same message."
            layer.statistics.count_dropped(self._channel, "consumed later too often", advice)
            return
        send = layer.prepare(self._channel, {**self._content, _RETRIES_KEY: retries + 1})
        if origin is not None:
            send = send._replace(ticket=origin.ticket_again())
            origin.comes_again = True
        self.held.hold(layer, send)

    def _answer_failure(self, message: Message, error: BaseException) -> None:
        """Do not let a client wait whose consumer failed before it had answered."""
        reply_channel = message.reply_channel
        if isinstance(error, ResponseLater) or reply_channel is None or self.held.has(reply_channel.name):
            return
        if self._channel == "websocket.connect":
            reply_channel.send({"close": 1011})
        elif self._channel == "http.request":
            text = "".join(traceback.format_exception(error)) if settings.DEBUG else "Server error (500)\n"
            headers = [[b"content-type", b"text/plain; charset=utf-8"]]
            reply_channel.send({"status": 500, "headers": headers, "content": text.encode(errors="replace")})


def _set_script_prefix(content: Content) -> None:
    """Have ``reverse`` give paths below the root path of the connection that a message came from, as in a view."""
    prefix = get_script_prefix(content)
    # A project may give the key another meaning in messages of its own.
    if prefix and isinstance(prefix, str):
        set_script_prefix(prefix)


def _guarded(action: Callable[[], Any], consumer: Consumer, message: Message) -> None:
    try:
        action()
    except Exception:
        _log_failure(consumer, message, "After the consumer something failed")


def _log_failure(consumer: Consumer, message: Message, text: str = "A consumer failed") -> None:
    try:
        logger.exception("%s: %s with %r", text, describe(consumer), message)
    except Exception:
        # An exception whose own text cannot be made must not end the worker either.
        logger.error("%s: %s with %r, and its exception cannot be shown", text, describe(consumer), message)
