"""
Find the user of a login, as Django does, without having the same query made anew for each message.

Django's ORM takes ten times as long to make that query as the database does to answer it. So the query is kept, as
text, and with each user the row that it was made of: as long as the row is the same the user is, and so is whether the
login is still good, for that depends on nothing else. What is not Django's own (a backend, a manager, how a login is
checked) may depend on more, and is asked each time.
"""

from __future__ import annotations

import copy
import datetime
import decimal
import functools
import inspect
import threading
import uuid
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib import auth
from django.db import connections
from django.db.models import QuerySet
from django.db.models.base import ModelState
from django.db.models.manager import BaseManager
from django.utils.module_loading import import_string

KEYS = (auth.SESSION_KEY, auth.BACKEND_SESSION_KEY, auth.HASH_SESSION_KEY)
# As many users are kept, for each process.
MOST_KNOWN = 5000
# What a copy may share with the user it is made of, since nobody can change it in place.
_FIXED = frozenset(
    {type(None), bool, int, float, str, bytes, uuid.UUID, decimal.Decimal}
    | {datetime.datetime, datetime.date, datetime.time, datetime.timedelta}
)


class _Known(NamedTuple):
    row: Any
    user: Any
    # The names of attributes that a consumer could change in place, as the value of a JSON field.
    changeable: tuple[str, ...]


_known: dict[tuple[Any, ...], _Known] = {}
_remembering = threading.Lock()


def user_logged_in(session: Any) -> Any:
    """Return the user that is logged in to a session, an anonymous one if nobody is. The session stays as it is."""
    key, backend, shown = map(session.get, KEYS)
    row = None if key is None else _row_of(backend, key)
    login = (key, backend, shown, settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    known = _known.get(login)
    if known is not None and row is not None and known.row == row:
        return _copy(known.user, known.changeable)
    user = auth.get_user(_Request(session))  # type: ignore[arg-type]
    if row is not None and user.is_authenticated:
        # The row was read first: if it has changed since, the user is looked up again the next time.
        _remember(login, row, user)
    return user


def _remember(login: tuple[Any, ...], row: Any, user: Any) -> None:
    values = user.__dict__.items()
    changeable = tuple(name for name, value in values if type(value) not in _FIXED and name != "_state")
    try:
        known = _Known(row, _copy(user, changeable), changeable)
    except Exception:
        # A site may give its users anything. One that cannot be copied is looked up each time.
        return
    with _remembering:
        if len(_known) >= MOST_KNOWN:
            del _known[next(iter(_known))]
        _known[login] = known


def _copy(user: Any, changeable: tuple[str, ...]) -> Any:
    """Do what ``copy.copy`` does, which takes the long way of pickling; what can be changed in place is copied, too."""
    copied: Any = object.__new__(type(user))
    copied.__dict__.update(user.__dict__, _state=ModelState())
    copied._state.__dict__.update(user._state.__dict__, fields_cache={})
    for name in changeable:
        # A file knows its user.
        copied.__dict__[name] = copy.deepcopy(user.__dict__[name], {id(user): copied})
    return copied


def _row_of(backend: str, key: str) -> Any:
    """Return the row that the user of a login is made of; None where there is none, or the user depends on more."""
    model = auth.get_user_model()
    if backend not in settings.AUTHENTICATION_BACKENDS or not _is_plain(backend, model):
        return None
    connection, primary = connections[model._default_manager.db], model._meta.pk
    value = primary.get_db_prep_value(primary.to_python(key), connection)
    with connection.cursor() as cursor:
        cursor.execute(_query(model, connection.alias), [value])
        return cursor.fetchone()


@functools.cache
def _is_plain(backend: str, model: Any) -> bool:
    """Say whether a user, and whether a login is good, depends on the user's row and on nothing else."""
    from django.contrib.auth.backends import ModelBackend
    from django.contrib.auth.base_user import AbstractBaseUser

    kind = import_string(backend)
    return (
        getattr(kind, "get_user", None) is ModelBackend.get_user
        and kind.user_can_authenticate.__module__ == ModelBackend.__module__
        and type(model._default_manager).get_queryset is BaseManager.get_queryset
        and model._default_manager._queryset_class is QuerySet
        and getattr(model, "get_session_auth_hash", None) is AbstractBaseUser.get_session_auth_hash
        and not isinstance(inspect.getattr_static(model, "is_active", True), property)
    )


@functools.cache
def _query(model: Any, database: str) -> str:
    """Return the query for the row of one user, which takes the primary key."""
    users = model._default_manager.using(database).filter(pk=model._meta.pk.to_python(0))
    sql: str = users.query.get_compiler(database).as_sql()[0]
    return sql


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
