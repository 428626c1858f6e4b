"""
Give consumers the user of their socket, and have sockets follow the account.

The user is found by Django's own means, so a changed password or a deactivated account counts from the next
message on. Nothing is asked of the database before ``message.user`` is used.

With ``CHANNELS_SOCKETS_FOLLOW_ACCOUNT`` the sockets of a user are in a group. When something about the account changes,
``security/accounts.py`` tells it, and each socket sends ``websocket.recheck``: a consumer looks whether it may stay.
"""

from __future__ import annotations

import functools
import hashlib
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.utils.functional import SimpleLazyObject

from .channel import Group
from .message import Message
from .routing import ignore_message
from .sessions.channel_session import Consumer, channel_session, message_of
from .sessions.http_session import channel_and_http_session, existing_session, http_session
from .sessions.users import KEYS, user_logged_in

# The code of the close frame for a socket whose login is no longer good: its page may connect anew, as who it is now.
SIGNED_OUT = 4401
# Where a channel session has the key of the session that its login came from.
_VISITORS_KEY = "_login_from"


def transfer_user(from_session: Any, to_session: Any) -> None:
    """Copy the login of one session to another; without one, the other is logged out."""
    for key in KEYS:
        if key in from_session:
            to_session[key] = from_session[key]
        else:
            to_session.pop(key, None)


def channel_session_user(consumer: Consumer) -> Consumer:
    """Give a consumer ``message.user`` from the channel session, which it brings along."""

    @channel_session
    @functools.wraps(consumer)
    def inner(*args: Any, **kwargs: Any) -> Any:
        message = message_of(args)
        message.user = user_of(message.channel_session)
        return consumer(*args, **kwargs)

    return inner


def http_session_user(consumer: Consumer) -> Consumer:
    """Give a consumer ``message.user`` from the visitor's session, which it brings along."""

    @http_session
    @functools.wraps(consumer)
    def inner(*args: Any, **kwargs: Any) -> Any:
        message = message_of(args)
        message.user = user_of(message.http_session)
        return consumer(*args, **kwargs)

    return inner


def channel_session_user_from_http(consumer: Consumer) -> Consumer:
    """
    Give a connect consumer ``message.user`` from the visitor's session, and keep it in the channel session.

    Later messages of a socket come without that: on them it gives an anonymous user, ``channel_session_user`` the one
    that was kept.
    """
    return http_session(channel_session(_keeping_user(consumer)))


def channel_and_http_session_user_from_http(consumer: Consumer) -> Consumer:
    """Do the same, with ``channel_and_http_session``: so it finds the user on every message."""
    return channel_and_http_session(_keeping_user(consumer))


def user_of(session: Any) -> Any:
    """Return the user that is logged in to a session, looked up when it is first used; anonymous without one."""
    if session is None:
        # A model's module cannot be imported before the apps are ready.
        from django.contrib.auth.models import AnonymousUser

        return AnonymousUser()
    return SimpleLazyObject(lambda: user_logged_in(session))


def account_group(user_pk: Any) -> str:
    """Name the group of all sockets of a user. A primary key may be text that is no name of a group."""
    return f"channels.account.{hashlib.sha256(str(user_pk).encode()).hexdigest()[:32]}"


def still_signed_in(consumer: Consumer) -> Consumer:
    """
    Give a consumer of ``websocket.recheck`` ``message.user``, and close the socket if its login is no longer good.

    The consumer is called for those who stay. It sees the user as it is now, and says by closing the socket, or by
    taking it out of groups, what the user may no longer do.
    """

    @channel_session_user
    @functools.wraps(consumer)
    def inner(*args: Any, **kwargs: Any) -> Any:
        message = message_of(args)
        if _is_signed_in(message):
            return consumer(*args, **kwargs)
        if message.reply_channel is not None:
            message.reply_channel.send({"close": SIGNED_OUT})
        return None

    return inner


recheck = still_signed_in(ignore_message)


def _is_signed_in(message: Message) -> bool:
    session = message.channel_session
    key = session.get(_VISITORS_KEY)
    if key is not None:
        visitors = existing_session(key)
        if visitors is None or visitors.get(SESSION_KEY) != session.get(SESSION_KEY):
            return False
    return bool(message.user.is_authenticated)


def _follow(message: Message) -> Any:
    """Let a socket follow the account that its visitor is signed in to; return the session if it is still there."""
    session = message.http_session
    if (
        session is None
        or SESSION_KEY not in session
        or message.channel.name != "websocket.connect"
        or message.reply_channel is None
        or not getattr(settings, "CHANNELS_SOCKETS_FOLLOW_ACCOUNT", 0)
    ):
        return session
    # First the group, then a look at what may have changed before that: so nothing falls between. The user is looked
    # up later still.
    Group(account_group(session[SESSION_KEY]), channel_layer=message.channel_layer).add(message.reply_channel)
    message.channel_session[_VISITORS_KEY] = session.session_key
    return session if existing_session(session.session_key) is not None else None


def _keeping_user(consumer: Consumer) -> Consumer:
    @functools.wraps(consumer)
    def inner(*args: Any, **kwargs: Any) -> Any:
        message = message_of(args)
        session = _follow(message) if message.http_session is not None else None
        if session is not None:
            transfer_user(session, message.channel_session)
        message.user = user_of(session)
        return consumer(*args, **kwargs)

    return inner
