"""
System checks: mistakes that are better told at the start than by the first visitor.

    channels.E001   a channel layer or its routing cannot be made
    channels.E002   channel sessions cannot be kept in cookies
    channels.W001   another app's runserver is in front of ours
"""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from .asgi import channel_layers
from .exceptions import InvalidChannelLayerError

_COOKIE_ENGINE = "django.contrib.sessions.backends.signed_cookies"


@register("channels")
def check_layers(**kwargs: Any) -> list[CheckMessage]:
    """Make every configured layer and its router."""
    errors: list[CheckMessage] = []
    for alias in channel_layers.configs:
        try:
            channel_layers[alias].make_router()
        except InvalidChannelLayerError as error:
            errors.append(Error(str(error), hint=f"Look at CHANNEL_LAYERS[{alias!r}].", id="channels.E001"))
    return errors


@register("channels")
def check_session_engine(**kwargs: Any) -> list[CheckMessage]:
    """Refuse session cookies as the place for channel sessions."""
    if getattr(settings, "CHANNEL_SESSION_ENGINE", settings.SESSION_ENGINE) != _COOKIE_ENGINE:
        return []
    hint = "Set CHANNEL_SESSION_ENGINE to an engine that keeps sessions on the server."
    return [Error("Channel sessions cannot be kept in cookies: a socket has none.", hint=hint, id="channels.E002")]


@register("channels")
def check_runserver(**kwargs: Any) -> list[CheckMessage]:
    """Name the app whose runserver is in front of ours."""
    ours = "channels"
    rivals = ["django.contrib.staticfiles", "daphne", "whitenoise.runserver_nostatic"]
    names = [config.name for config in apps.get_app_configs()]
    if ours not in names:
        return []
    winners = [name for name in names[: names.index(ours)] if name in rivals]
    if not winners:
        return []
    hint = f"Move 'channels' in front of {winners[0]!r} in INSTALLED_APPS."
    return [
        Warning(f"manage.py runserver is that of {winners[0]!r} and runs no workers.", hint=hint, id="channels.W001")
    ]
