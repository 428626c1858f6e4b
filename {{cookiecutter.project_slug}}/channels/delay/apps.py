"""The Django app, which a project installs as ``channels.delay``."""

from __future__ import annotations

from django.apps import AppConfig


class DelayConfig(AppConfig):
    """Delayed messages. In Channels 1 its label was ``channels.delay``, which is none for the Django of today."""

    name = "channels.delay"
    label = "channels_delay"
    verbose_name = "Channels Delay"
    default_auto_field = "django.db.models.BigAutoField"
