"""
Give consumers the user of their socket.

The user is found by Django's own means, so a changed password or a deactivated account counts from the next
message on. Nothing is asked of the database before ``message.user`` is used.
"""

from __future__ import annotations

import functools
from typing import Any

from django.utils.functional import SimpleLazyObject

from .sessions.channel_session import Consumer, channel_session, message_of
from .sessions.http_session import channel_and_http_session, http_session
from .sessions.users import KEYS, user_logged_in


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


def _keeping_user(consumer: Consumer) -> Consumer:
    @functools.wraps(consumer)
    def inner(*args: Any, **kwargs: Any) -> Any:
        message = message_of(args)
        if message.http_session is not None:
            transfer_user(message.http_session, message.channel_session)
        message.user = user_of(message.http_session)
        return consumer(*args, **kwargs)

    return inner
