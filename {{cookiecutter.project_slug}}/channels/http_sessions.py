"""Give consumers the session of their visitor, the one that views know as ``request.session``."""

from __future__ import annotations

import functools
import logging
from importlib import import_module
from typing import Any
from urllib.parse import parse_qs

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.http import parse_cookie

from .channel_sessions import Consumer, channel_session, message_of
from .message import Message

logger = logging.getLogger(__name__)

_HTTP_SESSION_KEY = "_http_session_key"


def http_session(consumer: Consumer) -> Consumer:
    """
    Give a consumer ``message.http_session``, the visitor's existing session, or None.

    It is found by the session cookie of the connection; it is read here, and changed only in views. With
    ``CHANNELS_SESSION_KEY_IN_URL`` set, the query argument ``session_key`` counts where there is no cookie.
    Raises ``ValueError`` for a message without headers, which later messages of a socket are.
    """

    @functools.wraps(consumer)
    def inner(*args: Any, **kwargs: Any) -> Any:
        message = message_of(args)
        if message.http_session is None:
            key = _session_key(message)
            message.http_session = _existing_session(key) if key else None
        return consumer(*args, **kwargs)

    return inner


def channel_and_http_session(consumer: Consumer) -> Consumer:
    """
    Give a consumer both sessions, on every message of a socket.

    The key of the visitor's session is kept in the channel session when the socket connects.
    """

    @channel_session
    @functools.wraps(consumer)
    def inner(*args: Any, **kwargs: Any) -> Any:
        message = message_of(args)
        if "headers" in message:
            return keep_key(*args, **kwargs)
        key = message.channel_session.get(_HTTP_SESSION_KEY)
        message.http_session = _existing_session(key) if key else None
        return consumer(*args, **kwargs)

    @http_session
    def keep_key(*args: Any, **kwargs: Any) -> Any:
        message = message_of(args)
        if message.http_session is not None:
            message.channel_session[_HTTP_SESSION_KEY] = message.http_session.session_key
        return consumer(*args, **kwargs)

    return inner


def _session_key(message: Message) -> str | None:
    if "headers" not in message:
        raise ValueError(
            f"A message on {message.channel} has no headers, so the visitor's session cannot be found. "
            "Use http_session on websocket.connect and http.request, and channel_and_http_session for the rest."
        )
    cookies = b"; ".join(value for name, value in message["headers"] if name.lower() == b"cookie")
    key = parse_cookie(cookies.decode("latin-1")).get(settings.SESSION_COOKIE_NAME)
    return key or _session_key_in_url(message)


def _session_key_in_url(message: Message) -> str | None:
    query = message.get("query_string") or b""
    text = query.decode("ascii", "replace") if isinstance(query, bytes) else query
    keys = parse_qs(text).get("session_key", [])
    if keys and not getattr(settings, "CHANNELS_SESSION_KEY_IN_URL", False):
        logger.warning(
            "The session_key in the URL of %r is ignored, since URLs land in logs. "
            "Set CHANNELS_SESSION_KEY_IN_URL = True to allow it.",
            message.get("path"),
        )
        return None
    return keys[0] if keys else None


def _existing_session(key: str) -> SessionBase | None:
    session: SessionBase = import_module(settings.SESSION_ENGINE).SessionStore(key)
    # Engines tell of a session that is not there, or no longer, when it is loaded: by dropping its key, or,
    # where the session is the cookie itself, by wanting it changed.
    session.keys()
    return session if session.session_key and not session.modified else None
