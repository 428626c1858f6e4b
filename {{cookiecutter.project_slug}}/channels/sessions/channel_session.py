"""
Give consumers a session that belongs to their socket.

It is a Django session whose key is derived from the reply channel and never changes. It is saved only if it
has changed, and a save merges: of the values that several consumers of one socket set at the same time, none
is lost.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.sessions.backends.base import CreateError, SessionBase, UpdateError
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router, transaction
from django.utils.crypto import salted_hmac

from ..message import Message
from ..signals import consumer_finished

Consumer = Callable[..., Any]

_MISSING = object()
_SALT = "channels.session"
# Each attempt means that another consumer has just created or removed the row.
_SAVE_ATTEMPTS = 5
# An unchanged session is kept for two weeks, in seconds, also where visitors are logged out much sooner: sockets
# have no cookie whose age counts. It is removed when its socket ends; clearsessions removes what is left over.
_LONGEST_LIFE = 14 * 86_400


def channel_session(consumer: Consumer) -> Consumer:
    """
    Give a consumer ``message.channel_session``, a session that lives as long as the socket.

    It is saved after the consumer, if it has changed, and removed when the socket has disconnected. Raises
    ``ValueError`` for a message without a reply channel.
    """
    consumer_finished.connect(remove_session)

    @functools.wraps(consumer)
    def inner(*args: Any, **kwargs: Any) -> Any:
        message = message_of(args)
        if hasattr(message, "channel_session"):
            return consumer(*args, **kwargs)
        if message.reply_channel is None:
            raise ValueError(
                f"A message on {message.channel} has no reply_channel, so there is no socket that a "
                "channel_session could belong to. Use it for websocket.* and http.* messages."
            )
        message.channel_session = session_for_reply_channel(message.reply_channel.name)
        try:
            return consumer(*args, **kwargs)
        finally:
            if message.channel.name != "websocket.disconnect":
                message.channel_session.save()

    return inner


def session_for_reply_channel(reply_channel: str) -> Any:
    """Return the channel session of a socket. The engine is ``CHANNEL_SESSION_ENGINE``, or the site's own."""
    engine = getattr(settings, "CHANNEL_SESSION_ENGINE", settings.SESSION_ENGINE)
    return _store(engine)(session_key_of(reply_channel))


def session_key_of(reply_channel: str) -> str:
    """Return the session key that belongs to a reply channel: nobody can tell it who only knows that, from a log."""
    # While a site replaces its secret, the sockets that are open keep their sessions.
    secret = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS][-1]
    return "chn" + salted_hmac(_SALT, reply_channel, secret, algorithm="sha256").hexdigest()[:29]


if TYPE_CHECKING:
    _Store = SessionBase
else:
    _Store = object


class ChannelSessionMixin(_Store):
    """What makes a session store one for channel sessions."""

    # Other names than those of the engine: a visitor whose cookie has the key of a channel session cannot open it.
    cache_key_prefix = _SALT
    key_salt = _SALT

    def __init__(self, session_key: str) -> None:
        self._fixed_key = session_key
        self._loaded: dict[str, Any] = {}
        super().__init__(session_key)

    def load(self) -> dict[str, Any]:
        """Load the values, none if nothing is stored. The key stays."""
        stored, _ = self._read()
        self._loaded = copy.deepcopy(stored)
        return stored

    def save(self, must_create: bool = False) -> None:
        """Save what has changed since the session was loaded, on top of what is stored by now."""
        changes = self._changes()
        if not changes:
            return
        for attempt in range(_SAVE_ATTEMPTS):
            try:
                with self._locked():
                    values, exists = self._read()
                    _apply(changes, values)
                    self._session_cache = values
                    super().save(must_create=not exists)
                self._loaded = copy.deepcopy(values)
                return
            except (CreateError, UpdateError):
                if attempt == _SAVE_ATTEMPTS - 1:
                    raise

    def get_session_cookie_age(self) -> int:
        """Return how long the session is kept without a change, in seconds."""
        return max(super().get_session_cookie_age(), _LONGEST_LIFE)

    def cycle_key(self) -> None:
        """Keep the key: it is not a secret of the visitor's but the name of the socket."""

    def clear(self) -> None:
        """Remove all values."""
        # What is stored has to be known, or its removal would not count as a change.
        self.keys()
        super().clear()

    def flush(self) -> None:
        """Remove all values; the key stays."""
        self.clear()

    def _read(self) -> tuple[dict[str, Any], bool]:
        """Return the stored values and whether anything is stored, which the engines tell by dropping the key."""
        values: dict[str, Any] = super().load()
        exists = self._session_key is not None
        self._session_key = self._fixed_key
        return values, exists

    def _changes(self) -> dict[str, Any]:
        if not hasattr(self, "_session_cache"):
            return {}
        current = self._session_cache
        changed = {key: value for key, value in current.items() if self._loaded.get(key, _MISSING) != value}
        return {**changed, **dict.fromkeys(self._loaded.keys() - current.keys(), _MISSING)}

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the row of the session, where the engine has one, so that two saves cannot overlap."""
        model = getattr(self, "model", None)
        if model is None:
            yield
            return
        database = router.db_for_write(model)
        with transaction.atomic(using=database):
            if connections[database].features.has_select_for_update:
                model.objects.using(database).select_for_update().filter(pk=self._fixed_key).first()
            yield


def message_of(args: tuple[Any, ...]) -> Message:
    """Return the message among a consumer's arguments: the first one, or that after ``self``."""
    for argument in args[:2]:
        if isinstance(argument, Message):
            return argument
    raise TypeError("A consumer is called with a message as its first argument, or as the one after self.")


def remove_session(message: Message | None = None, **kwargs: Any) -> None:
    """Remove the channel session of a socket that has disconnected, whether its consumer asked for it or not."""
    if message is None or message.channel.name != "websocket.disconnect" or message.comes_again:
        return
    if message.reply_channel is None:
        return
    if hasattr(message, "channel_session"):
        message.channel_session.delete()
    else:
        session_for_reply_channel(message.reply_channel.name).delete()


def _apply(changes: dict[str, Any], values: dict[str, Any]) -> None:
    for key, value in changes.items():
        if value is _MISSING:
            values.pop(key, None)
        else:
            values[key] = value


@functools.cache
def _store(engine: str) -> type[SessionBase]:
    if engine == "django.contrib.sessions.backends.signed_cookies":
        raise ImproperlyConfigured(
            "Channel sessions need a session engine on the server, and SESSION_ENGINE keeps sessions in cookies. "
            "Set CHANNEL_SESSION_ENGINE, for example to 'django.contrib.sessions.backends.db'."
        )
    return type("ChannelSession", (ChannelSessionMixin, import_module(engine).SessionStore), {})
