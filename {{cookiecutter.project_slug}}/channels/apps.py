"""The Django app: its checks are registered."""

from __future__ import annotations

from django.apps import AppConfig


class ChannelsConfig(AppConfig):
    """The engine as an app; list it first in ``INSTALLED_APPS``, so that its ``runserver`` is the one."""

    name = "channels"
    verbose_name = "Channels"

    def ready(self) -> None:
        """Register the checks."""
        from . import checks  # noqa: F401
