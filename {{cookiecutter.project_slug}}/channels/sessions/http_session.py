"""Give consumers the session of their visitor, the one that views know as ``request.session``."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from django.conf import settings
from django.contrib.sessions.backends import signed_cookies
from django.contrib.sessions.backends.base import SessionBase, UpdateError
from django.http import parse_cookie

from ..message import Message
from .channel_session import Consumer, channel_session, message_of

logger = logging.getLogger(__name__)

_HTTP_SESSION_KEY = "_http_session_key"


def http_session(consumer: Consumer) -> Consumer:
    """
    Give a consumer ``message.http_session``, the visitor's existing session, or None.

    It is found by the session cookie of the connection. Messages without headers have none, which later messages of a
    socket are. With ``CHANNELS_SESSION_KEY_IN_URL`` set, the query argument ``session_key`` counts where there is no
    cookie. What the consumer changes in it is saved when that has ended well. Raises ``ValueError`` for a message that
    comes from no connection.
    """

    @functools.wraps(consumer)
    def inner(*args: Any, **kwargs: Any) -> Any:
        message = message_of(args)
        with _opened(message, lambda: _session_key(message)):
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
        with _opened(message, lambda: _session_key(message) or message.channel_session.get(_HTTP_SESSION_KEY)):
            if "headers" in message and message.http_session is not None:
                message.channel_session[_HTTP_SESSION_KEY] = message.http_session.session_key
            return consumer(*args, **kwargs)

    return inner


@contextmanager
def _opened(message: Message, find_key: Callable[[], str | None]) -> Iterator[None]:
    """Give a message its visitor's session, unless it has it; save that if it has changed at the end."""
    if getattr(message, "http_session", None) is not None:
        yield
        return
    key = find_key()
    session = message.http_session = existing_session(key) if key else None
    yield
    # One that was flushed is gone.
    if session is not None and session.modified and not session.is_empty():
        try:
            session.save()
        except UpdateError:
            logger.info("The session of a visitor was removed while a consumer changed it: the change is lost")


def _session_key(message: Message) -> str | None:
    if "headers" not in message:
        if message.reply_channel is None:
            raise ValueError(
                f"A message on {message.channel} has neither headers nor reply_channel: it comes from no connection, "
                "so there is no visitor. Use http_session for websocket.* and http.* messages."
            )
        return None
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


def existing_session(key: str) -> SessionBase | None:
    """Return the session of a key, None if there is none, or no longer."""
    session: SessionBase = _store(settings.SESSION_ENGINE)(key)
    # Engines tell of a session that is not there, or no longer, when it is loaded: by dropping its key.
    session.keys()
    return session if session.session_key else None


if TYPE_CHECKING:
    _Store = SessionBase
else:
    _Store = object


class _VisitorsSession(_Store):
    """What makes a session store one for visitors to whom no cookie can be sent."""

    def create(self) -> None:
        raise TypeError(
            "A consumer cannot give its visitor a new session, or its session a new key: it sends no cookie. "
            "Do that in a view."
        )


class _SessionInCookie(_VisitorsSession):
    """The same for sessions that are the cookie itself: they cannot be changed at all."""

    def create(self) -> None:
        # So the engine tells of a cookie that is not valid.
        self._session_key = None

    @property
    def modified(self) -> bool:
        return False

    @modified.setter
    def modified(self, value: bool) -> None:
        if value:
            raise TypeError(
                "A consumer cannot change its visitor's session: SESSION_ENGINE keeps it in the cookie, and a consumer "
                "sends none. Change it in a view, or choose an engine that keeps sessions on the server."
            )


@functools.cache
def _store(engine: str) -> type[SessionBase]:
    store = import_module(engine).SessionStore
    kind = _SessionInCookie if issubclass(store, signed_cookies.SessionStore) else _VisitorsSession
    # Under its own name, with which engines sign what they store.
    return type(store.__qualname__, (kind, store), {})
