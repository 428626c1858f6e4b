"""The Django app: connections of the database are looked after around each consumer, and checks are registered."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db import connections

from .signals import consumer_finished, consumer_started


class ChannelsConfig(AppConfig):
    """The engine as an app; list it first in ``INSTALLED_APPS``, so that its ``runserver`` is the one."""

    name = "channels"
    verbose_name = "Channels"

    def ready(self) -> None:
        """Connect what belongs around each consumer, and register the checks."""
        from . import checks  # noqa: F401

        consumer_started.connect(_close_old_connections, dispatch_uid="channels.consumer_started")
        consumer_finished.connect(_close_old_connections, dispatch_uid="channels.consumer_finished")


def _close_old_connections(**kwargs: Any) -> None:
    for connection in connections.all(initialized_only=True):
        # Only a test runs a consumer inside a transaction, which ends with its connection.
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
