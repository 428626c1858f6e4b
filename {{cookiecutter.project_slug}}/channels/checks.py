"""
System checks: mistakes that are better told at the start than by the first visitor.

    channels.E001   a channel layer or its routing cannot be made
    channels.E002   CHANNEL_SESSION_ENGINE is set, and means nothing any more
    channels.E003   the limits of interface servers make no sense
    channels.E004   CHANNEL_SESSION_SIZE makes no sense
    channels.E005   CHANNELS_ALLOWED_ORIGINS is no list of origins
    channels.W001   runserver is another app's, and does not extend ours
    channels.W002   sockets may be opened by the pages of all sites (with --deploy)
"""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.core.management import get_commands, load_command_class

from .exceptions import InvalidChannelLayerError
from .interface.limits import Limits
from .registry import channel_layers
from .security.websockets import listed_origins


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
    """Refuse an engine for channel sessions: whoever has set one expects to find them there."""
    engine = getattr(settings, "CHANNEL_SESSION_ENGINE", None)
    if engine is None:
        return []
    text = f"CHANNEL_SESSION_ENGINE is {engine!r}, but channel sessions travel with the messages and lie in no store."
    hint = "Remove the setting. What must be read from outside of a socket's consumers belongs in the database."
    return [Error(text, hint=hint, id="channels.E002")]


@register("channels")
def check_session_size(**kwargs: Any) -> list[CheckMessage]:
    """Refuse a size that is no number of bytes."""
    size = getattr(settings, "CHANNEL_SESSION_SIZE", 1)
    if type(size) is int and size > 0:
        return []
    text = f"CHANNEL_SESSION_SIZE is {size!r}; expected a whole number of bytes above zero."
    return [Error(text, hint="Change it, or remove it for the usual 64 KiB.", id="channels.E004")]


@register("channels")
def check_limits(**kwargs: Any) -> list[CheckMessage]:
    """Read the limits of interface servers."""
    try:
        Limits.from_settings(settings)
    except InvalidChannelLayerError as error:
        text = str(error)
        setting = re.split(r"\W", text)[0]
        return [Error(text, hint=f"Look at {setting}.", id="channels.E003")]
    return []


@register("channels")
def check_allowed_origins(**kwargs: Any) -> list[CheckMessage]:
    """Refuse what no browser names as an origin: a host without its scheme, above all."""
    try:
        listed_origins()
    except ImproperlyConfigured as error:
        hint = "Write each with its scheme and without a path, as CSRF_TRUSTED_ORIGINS has them."
        return [Error(str(error), hint=hint, id="channels.E005")]
    return []


@register("channels", deploy=True)
def check_any_origin(**kwargs: Any) -> list[CheckMessage]:
    """Warn where all sockets are open to all pages."""
    if "*" not in getattr(settings, "CHANNELS_ALLOWED_ORIGINS", ()):
        return []
    text = "CHANNELS_ALLOWED_ORIGINS has '*': any page that your visitors open can use your sockets with their cookies."
    hint = "Name the origins, or open single consumers with channels.security.websockets.any_origin."
    return [Warning(text, hint=hint, id="channels.W002")]


@register("channels")
def check_runserver(**kwargs: Any) -> list[CheckMessage]:
    """Name the app whose runserver is used and runs no workers."""
    winner = get_commands()["runserver"]
    if winner == "channels" or not channel_layers.configs:
        return []
    from .management.commands.runserver import Command

    command = load_command_class(winner, "runserver")
    if isinstance(command, Command):
        return []
    hint = (
        f"Let its Command extend {Command.__module__}.Command, "
        f"or move 'channels' in front of {winner!r} in INSTALLED_APPS."
    )
    return [Warning(f"manage.py runserver is that of {winner!r} and runs no workers.", hint=hint, id="channels.W001")]
