"""
Promise that no message of a socket is lost silently with its worker.

The messages of a socket come one after the other anyway: the interface server gives the next one away when that
before it is done. What is added here is what happens when a message is lost with its worker: the socket is closed with
1013, so that the client connects again and catches up, where another socket goes on with the next message.
"""

from __future__ import annotations

import functools
from typing import Any

from .channel_session import Consumer, channel_session, message_of


def enforce_ordering(consumer: Consumer | None = None, slight: bool = False) -> Any:
    """
    Run the consumers of a socket one after the other, and close the socket if one of its messages is lost.

    Decorate every websocket consumer of the route with it. It brings ``channel_session`` along. Raises
    ``ValueError`` for a message that comes from no socket, and for ``slight``, which Channels 1 has given up.
    """
    if slight:
        raise ValueError("enforce_ordering has no slight mode any more: connect always comes first. Leave it out.")
    if consumer is None:
        return enforce_ordering

    @channel_session
    @functools.wraps(consumer)
    def inner(*args: Any, **kwargs: Any) -> Any:
        message = message_of(args)
        if "order" not in message or message.origin is None:
            raise ValueError(
                f"A message on {message.channel} has no order. enforce_ordering is for websocket.* messages."
            )
        message.origin.keeps_order = True
        return consumer(*args, **kwargs)

    return inner
