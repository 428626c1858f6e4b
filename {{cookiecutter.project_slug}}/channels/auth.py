"""
Give consumers the user of their socket.

The user is found by Django's own means, so a changed password or a deactivated account counts from the next
message on. Nothing is asked of the database before ``message.user`` is used.
"""

from __future__ import annotations

import functools
from typing import Any

from django.contrib import auth
from django.utils.functional import SimpleLazyObject

from .sessions.channel_session import Consumer, channel_session, message_of
from .sessions.http_session import channel_and_http_session, http_session

_KEYS = (auth.SESSION_KEY, auth.BACKEND_SESSION_KEY, auth.HASH_SESSION_KEY)


def transfer_user(from_session: Any, to_session: Any) -> None:
    """Copy the login of one session to another; without one, the other is logged out."""
    for key in _KEYS:
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
    return SimpleLazyObject(lambda: auth.get_user(_Request(session)))  # type: ignore[arg-type]


def _keeping_user(consumer: Consumer) -> Consumer:
    @functools.wraps(consumer)
    def inner(*args: Any, **kwargs: Any) -> Any:
        message = message_of(args)
        if message.http_session is not None:
            transfer_user(message.http_session, message.channel_session)
        message.user = user_of(message.http_session)
        return consumer(*args, **kwargs)

    return inner


class _Request:
    """What ``auth.get_user`` needs of a request."""

    def __init__(self, session: Any) -> None:
        self.session = _ReadOnlySession(session)


class _ReadOnlySession:
    """
    A session in which Django looks a user up.

    ``auth.get_user`` flushes a session whose password hash no longer fits and gives one a new key when an old
    secret fits. A socket's session holds more than the login, and the visitor's is only read here: both stay.
    """

    def __init__(self, session: Any) -> None:
        self._session = session

    def __getitem__(self, key: str) -> Any:
        return self._session[key]

    def __setitem__(self, key: str, value: Any) -> None:
        """Leave the stored hash alone."""

    def get(self, key: str, default: Any = None) -> Any:
        return self._session.get(key, default)

    def flush(self) -> None:
        """Leave the session alone."""

    def cycle_key(self) -> None:
        """Leave the key alone."""
