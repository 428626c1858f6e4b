"""
Give consumers a session that belongs to their socket.

It is a Django session that travels with the messages: the interface server that holds the socket keeps the values and
gives them along, and gets back what a consumer has changed. So it costs no database, ends with its socket, and of what
several consumers of one socket change at the same time nothing is lost.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase

from ..exceptions import InvalidMessage, MessageTooLarge
from ..layers.content import MAX_SESSION_SIZE, copy_message, copy_received, is_same
from ..layers.origin import Origin
from ..message import Message

logger = logging.getLogger(__name__)

Consumer = Callable[..., Any]


def channel_session(consumer: Consumer) -> Consumer:
    """
    Give a consumer ``message.channel_session``, a session that lives as long as the socket.

    What the consumer has changed in it is kept when it has ended. Raises ``ValueError`` for a message that comes from
    no connection; and, after the consumer, ``InvalidMessage`` for a value that cannot travel, ``MessageTooLarge`` for
    too many of them.
    """

    @functools.wraps(consumer)
    def inner(*args: Any, **kwargs: Any) -> Any:
        message = message_of(args)
        if hasattr(message, "channel_session"):
            return consumer(*args, **kwargs)
        session = message.channel_session = _session_of(message)
        try:
            result = consumer(*args, **kwargs)
        except BaseException:
            _save_quietly(session)
            raise
        session.save()
        return result

    return inner


class ChannelSession(SessionBase):
    """
    The session of a socket.

    Its values are what a message may hold. Its key is the name of the reply channel, by which nobody can open it: it is
    kept nowhere but with the socket.
    """

    def __init__(self, origin: Origin) -> None:
        super().__init__(origin.reply_channel)
        self._origin = origin

    def load(self) -> dict[str, Any]:
        """Return a copy of the values, which the consumer may change."""
        return copy_received(self._origin.session)

    def save(self, must_create: bool = False) -> None:
        """Keep what has changed. Raises ``InvalidMessage`` or ``MessageTooLarge``."""
        values = getattr(self, "_session_cache", None)
        if values is None or is_same(values, self._origin.session):
            return
        size = getattr(settings, "CHANNEL_SESSION_SIZE", MAX_SESSION_SIZE)
        try:
            self._origin.session = copy_message(values, size)
        except MessageTooLarge as error:
            raise MessageTooLarge(
                f"The channel session holds more than {size} bytes, and travels with each message of its socket. "
                "Keep less in it, or raise CHANNEL_SESSION_SIZE in the settings."
            ) from error
        except InvalidMessage as error:
            raise InvalidMessage(f"The channel session holds what cannot travel with messages: {error}") from error

    def exists(self, session_key: str) -> bool:
        """Say that no session is found by a key."""
        return False

    def create(self) -> None:
        """Do nothing: the session is there as long as its socket."""

    def delete(self, session_key: str | None = None) -> None:
        """Remove all values, unless this is about another session."""
        if session_key in (None, self.session_key):
            self.clear()

    def flush(self) -> None:
        """Remove all values."""
        self.clear()

    async def aflush(self) -> None:
        """Remove all values."""
        self.clear()

    def cycle_key(self) -> None:
        """Do nothing: the key is no secret."""

    async def acycle_key(self) -> None:
        """Do nothing: the key is no secret."""

    @classmethod
    def clear_expired(cls) -> None:
        """Do nothing: nothing is left of a socket that has ended."""


def session_for_reply_channel(reply_channel: str) -> Any:
    """Raise ``TypeError``: a session can be had for a message, no longer for a name."""
    raise TypeError(
        "The session of a socket travels with its messages, so that nobody can open it who only knows the name of the "
        "reply channel. Use @channel_session; a consumer that sends a message with its 'reply_channel' to a channel of "
        "the site has the session sent along."
    )


def message_of(args: tuple[Any, ...]) -> Message:
    """Return the message among a consumer's arguments: the first one, or that after ``self``."""
    for argument in args[:2]:
        if isinstance(argument, Message):
            return argument
    raise TypeError("A consumer is called with a message as its first argument, or as the one after self.")


def _save_quietly(session: ChannelSession) -> None:
    """Keep what a consumer has changed that has raised something, which says how its message ends."""
    try:
        session.save()
    except (InvalidMessage, MessageTooLarge):
        logger.exception("What a consumer that did not end well has changed in its channel session is not kept")


def _session_of(message: Message) -> ChannelSession:
    origin = message.origin
    if origin is None:
        named = "It names a reply_channel, but" if message.reply_channel else "It has no reply_channel, and"
        raise ValueError(
            f"The message on {message.channel} has no channel_session. {named} was not sent by an interface server, "
            "nor by a consumer of that very connection, for which the session is sent along. Use channel_session for "
            "websocket.* and http.* messages, and for those that their consumers send on with their reply_channel."
        )
    if origin.channel_session is None:
        origin.channel_session = ChannelSession(origin)
    session: ChannelSession = origin.channel_session
    return session
