"""
Tell the sockets of a user that something about the account has changed.

Django says so by signals, wherever it is done: in a view, the admin, a consumer, a shell. What is told leaves after the
commit. Each socket is then looked at by a worker, so nothing has to be known here of what has changed, nor of who may
do what.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.sessions.backends import signed_cookies
from django.db import transaction
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_delete

from ..auth import SIGNED_OUT, account_group
from ..channel import Group
from ..interface.websocket import RECHECK
from ..layers.base import Content
from ..registry import channel_layers

Receiver = Callable[..., None]


def register() -> None:
    """Listen to what Django says about users, where the site has any."""
    if not apps.is_installed("django.contrib.auth"):
        return
    from django.contrib.auth import get_user_model
    from django.contrib.auth.models import Group as AuthGroup
    from django.contrib.auth.signals import user_logged_out

    user_logged_out.connect(_logged_out)
    user_model = get_user_model()
    # A proxy is saved under its own name.
    for model in apps.get_models():
        if issubclass(model, user_model):
            post_save.connect(_user_saved, sender=model)
            post_delete.connect(_user_deleted, sender=model)
    for name in ("groups", "user_permissions"):
        if through := getattr(getattr(user_model, name, None), "through", None):
            m2m_changed.connect(_of_user_changed, sender=through)
    if hasattr(user_model, "groups"):
        m2m_changed.connect(_permissions_changed, sender=AuthGroup.permissions.through)
        pre_delete.connect(_group_deleted, sender=AuthGroup)


def recheck_sockets(user_pks: Iterable[Any], using: str | None = None) -> None:
    """
    Have all sockets of some users looked at, after the commit.

    For what a site changes without a signal of Django's, and for what its own models say about users.
    """
    _tell(user_pks, {RECHECK: True}, using)


def _tell(user_pks: Iterable[Any], content: Content, using: str | None) -> None:
    if not getattr(settings, "CHANNELS_SOCKETS_FOLLOW_ACCOUNT", 0):
        return
    groups = [account_group(pk) for pk in user_pks]
    if groups:
        # A layer that cannot be reached is logged: the change is made, and the next look in the period finds it.
        transaction.on_commit(functools.partial(_send, groups, content), using=using, robust=True)


def _send(groups: list[str], content: Content) -> None:
    for alias in channel_layers:
        for group in groups:
            # A consumer that changes an account may have much to do yet.
            Group(group, alias).send(content, immediately=True)


def _logged_out(request: Any, user: Any, **kwargs: Any) -> None:
    if user is None or not getattr(settings, "CHANNELS_SOCKETS_FOLLOW_ACCOUNT", 0):
        return
    if issubclass(import_module(settings.SESSION_ENGINE).SessionStore, signed_cookies.SessionStore):
        # Whether such a session has ended is known to its browser alone. The others come back.
        _tell([user.pk], {"close": SIGNED_OUT}, None)
        return
    session = getattr(request, "session", None)
    if session is not None and session.session_key is not None:
        # Django ends the session right after this, and has nothing to say then. Other receivers find it as it was.
        session.keys()
        session.delete(session.session_key)
    recheck_sockets([user.pk])


def _user_saved(instance: Any, created: bool, update_fields: frozenset[str] | None, using: str, **kwargs: Any) -> None:
    # Each log-in saves its time.
    if not created and (update_fields is None or update_fields - {"last_login"}):
        recheck_sockets([instance.pk], using)


def _user_deleted(instance: Any, using: str, **kwargs: Any) -> None:
    # Its key is there until all receivers have been called.
    recheck_sockets([instance.pk], using)


def _of_user_changed(instance: Any, action: str, reverse: bool, pk_set: Any, using: str, **kwargs: Any) -> None:
    if not reverse:
        if action.startswith("post_"):
            recheck_sockets([instance.pk], using)
    elif action == "pre_clear":
        # Afterwards nobody knows who it was.
        recheck_sockets(_members(instance), using)
    elif action in ("post_add", "post_remove"):
        recheck_sockets(pk_set, using)


def _permissions_changed(instance: Any, action: str, reverse: bool, pk_set: Any, using: str, **kwargs: Any) -> None:
    if not reverse:
        if action.startswith("post_"):
            recheck_sockets(_members(instance), using)
        return
    if action == "pre_clear":
        pk_set = instance.group_set.values_list("pk", flat=True)
    elif action not in ("post_add", "post_remove"):
        return
    from django.contrib.auth import get_user_model

    pks = get_user_model()._default_manager.using(using).filter(groups__in=list(pk_set)).values_list("pk", flat=True)
    recheck_sockets(list(pks.distinct()), using)


def _group_deleted(instance: Any, using: str, **kwargs: Any) -> None:
    recheck_sockets(_members(instance), using)


def _members(group_or_permission: Any) -> list[Any]:
    return list(group_or_permission.user_set.values_list("pk", flat=True))
