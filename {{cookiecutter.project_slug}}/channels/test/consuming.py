"""Run consumers in a test, as a worker does, but in the thread of the test, and with their errors raised there."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connections

from ..layers.sends import HeldSends
from ..registry import DEFAULT_CHANNEL_LAYER, ChannelLayerWrapper, channel_layers
from ..signals import consumer_finished
from ..worker.consumption import Consumption
from ..worker.contexts import new_context
from ..worker.database import keep_connections
from ..worker.worker import Worker
from .commits import run_commit_hooks
from .interface_server import InterfaceServer


def work(alias: str = DEFAULT_CHANNEL_LAYER, most: int = 1000) -> int:
    """
    Run consumers until nothing waits any more for one; return how many have run.

    Raises what a consumer raises, when what it has sent has left; and ``AssertionError`` after ``most`` of them, since
    two that send to each other never come to an end.
    """
    channel_layer = channel_layers[alias]
    for number in range(most):
        if consume_next(channel_layer, sorted(channel_layer.router.channels)) is None:
            return number
    raise AssertionError(f"Consumers still send messages to each other after {most} of them: expected an end.")


def consume_next(channel_layer: ChannelLayerWrapper, channels: Sequence[str]) -> Consumption | None:
    """
    Take a message from any of some channels and run its consumer; return what came of it, None without a message.

    What the consumer has left for after a commit is run at its end, where the transaction of the test would keep it for
    ever. Raises what the consumer raises, when what it has sent has left; and ``ChannelFull`` where a worker would wait
    for room, since nobody makes any.
    """
    delivery = channel_layer.take(channels) if channels else None
    if delivery is None:
        return None
    server = InterfaceServer.of(channel_layer)
    consumption = Consumption(Worker(channel_layer), server.let_go(delivery))
    with keep_connections(), _requests_close_none(), _commits_count() as errors:
        new_context().run(consumption.run)
    _send(consumption.held, server)
    for error in (consumption.error, *errors):
        if error is not None:
            raise error
    return consumption


def require_route(consumption: Consumption, alias: str, channel: str) -> None:
    """Raise ``AssertionError`` if no route has taken a message."""
    if consumption.consumer is None:
        raise AssertionError(
            f"No route of the layer {alias!r} takes the message on {channel!r}. Compare its content with the "
            "filters of the routing, or put one in its place with apply_routes."
        )


def _send(held: HeldSends, server: InterfaceServer) -> None:
    try:
        for layer, batch in held.take():
            if refused := layer.send_many(batch):
                raise layer.ChannelFull(layer.describe_full(refused[0].name))
    finally:
        if held.origin is not None and (finish := held.origin.finish()):
            server.tell(held.origin.reply_channel, finish)


@contextlib.contextmanager
def _requests_close_none() -> Iterator[None]:
    """Have a request close no connection to the database either, as Django's test client does."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    try:
        yield
    finally:
        for signal in signals:
            signal.connect(close_old_connections)


@contextlib.contextmanager
def _commits_count() -> Iterator[list[Exception]]:
    """
    Run what the consumer leaves for after a commit when it ends: there is none in the transaction of a test.

    What that raises is in the list that it gives.
    """
    thread, errors = threading.get_ident(), list[Exception]()
    waiting = {each: len(each.run_on_commit) for each in connections.all(initialized_only=True) if each.in_atomic_block}

    def commit(**kwargs: Any) -> None:
        if threading.get_ident() != thread:
            return
        try:
            for connection, count in waiting.items():
                run_commit_hooks(connection, count)
        except Exception as error:
            errors.append(error)

    consumer_finished.connect(commit, weak=False)
    try:
        yield errors
    finally:
        consumer_finished.disconnect(commit)
