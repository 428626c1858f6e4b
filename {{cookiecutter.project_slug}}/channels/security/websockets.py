"""
Refuse sockets that a foreign site opens in a visitor's browser.

The same-origin policy does not hold for WebSocket, and the browser sends the visitor's cookies along. What it
also sends, and no script can forge, is the Origin header (RFC 6455, section 10.2).

A worker looks at it before each connect consumer, unless that has a rule of its own: one of the decorators here, or
``allowed_hosts_only = False``.
"""

from __future__ import annotations

import functools
import logging
import re
import types
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http.request import split_domain_port, validate_host
from django.utils.http import is_same_domain

from ..exceptions import DenyConnection
from ..message import Message
from ..sessions.channel_session import Consumer, message_of

logger = logging.getLogger(__name__)

# The origin of a page (RFC 6454, section 6.2): scheme, host and port.
_ORIGIN = re.compile(r"(https?)://([^/?#\s]+)", re.IGNORECASE)
# What Django allows while DEBUG is on and ALLOWED_HOSTS is empty.
_DEBUG_HOSTS = [".localhost", "127.0.0.1", "[::1]"]


class BaseOriginValidator:
    """
    Decorates a connect consumer, function or method, so that it only runs for valid origins.

    A subclass decides in ``validate_origin``. Raises ``DenyConnection`` for the others.
    """

    def __init__(self, consumer: Consumer) -> None:
        functools.update_wrapper(self, consumer)
        # After that: it takes over the attributes of the consumer, which may be a validator, too.
        self._consumer = consumer
        # This is its rule. Decorators around this one take the attribute over.
        self.allowed_hosts_only = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the consumer, or raise ``DenyConnection``."""
        message = message_of(args)
        if not self.validate_origin(message, self.get_origin(message)):
            raise DenyConnection
        return self._consumer(*args, **kwargs)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def get_origin(self, message: Message) -> str | None:
        """Return the origin the browser names; None if it is missing, given twice, or not ASCII."""
        values = _origins(message)
        return values[0].decode("ascii") if len(values) == 1 and values[0].isascii() else None

    def validate_origin(self, message: Message, origin: str | None) -> bool:
        """Say whether a socket may connect from this origin."""
        raise NotImplementedError(f"{type(self).__name__} must define validate_origin(message, origin).")


class AllowedHostsOnlyOriginValidator(BaseOriginValidator):
    """
    Lets sockets connect from pages of the hosts in ``ALLOWED_HOSTS``.

    A host is allowed if ``HttpRequest.get_host`` allows a page there. On a socket that is itself encrypted, the page
    must be too. The port is not compared: subclass for that.
    """

    # Where a site that is no host of ours could be let in.
    _elsewhere = "any_origin"

    def validate_origin(self, message: Message, origin: str | None) -> bool:
        """Compare the host of the origin with the setting, and log why if it does not fit."""
        hosts = settings.ALLOWED_HOSTS or (_DEBUG_HOSTS if settings.DEBUG else [])
        schemes = ("https",) if _is_encrypted(message) else ("http", "https")
        host = _host(origin, schemes)
        if host and validate_host(host, hosts):
            return True
        logger.warning(
            "Socket %r refused: its Origin is %s, allowed are %s pages of %s. "
            "Add the host to ALLOWED_HOSTS if the page is yours; if not, see %s.",
            message.get("path"),
            " and ".join(ascii(origin)[2:-1] for origin in _origins(message)) or "missing",
            " and ".join(schemes),
            ", ".join(hosts) or "no host",
            self._elsewhere,
        )
        return False


allowed_hosts_only = AllowedHostsOnlyOriginValidator


class AnyOriginValidator(BaseOriginValidator):
    """Lets sockets connect from everywhere, for routes that need no visitor's cookie."""

    def validate_origin(self, message: Message, origin: str | None) -> bool:
        """Let it in."""
        return True


any_origin = AnyOriginValidator


class SiteOriginValidator(AllowedHostsOnlyOriginValidator):
    """Lets sockets connect from pages of the hosts in ``ALLOWED_HOSTS``, and of ``CHANNELS_ALLOWED_ORIGINS``."""

    _elsewhere = "CHANNELS_ALLOWED_ORIGINS and any_origin"

    def validate_origin(self, message: Message, origin: str | None) -> bool:
        """Compare the origin with both."""
        listed = listed_origins()
        if "*" in listed or (origin and any(_is_listed(origin, each) for each in listed)):
            return True
        return super().validate_origin(message, origin)


# The rule of all consumers without one of their own.
_site = SiteOriginValidator(lambda message: None)


def check_origin(consumer: Consumer, message: Message) -> None:
    """Raise ``DenyConnection`` for a connect message from a page that must not open a socket to a consumer."""
    if getattr(consumer, "allowed_hosts_only", True) and "headers" in message:
        _site(message)


def listed_origins() -> Sequence[str]:
    """Return ``CHANNELS_ALLOWED_ORIGINS``. Raises ``ImproperlyConfigured`` for what no browser names as an origin."""
    listed = getattr(settings, "CHANNELS_ALLOWED_ORIGINS", ())
    if isinstance(listed, list | tuple) and all(each == "*" or _ORIGIN.fullmatch(str(each)) for each in listed):
        return listed
    # A text, above all: it would have an asterisk in it that was meant to stand for one part of a host.
    raise ImproperlyConfigured(
        f"CHANNELS_ALLOWED_ORIGINS is {listed!r}; expected a list of origins, as ['https://partner.example']."
    )


def _is_listed(origin: str, listed: str) -> bool:
    """Compare an origin with one as CSRF_TRUSTED_ORIGINS has them: ``https://*.example.com`` names all below it."""
    found, expected = _ORIGIN.fullmatch(origin.lower()), _ORIGIN.fullmatch(listed.lower())
    if found is None or expected is None or found[1] != expected[1]:
        return False
    return is_same_domain(found[2], expected[2].removeprefix("*"))


def _origins(message: Message) -> list[bytes]:
    return [value for name, value in message["headers"] if name.lower() == b"origin"]


def _host(origin: str | None, schemes: tuple[str, ...]) -> str | None:
    """Return the host of an origin as ALLOWED_HOSTS writes it; None for anything but scheme, host and port."""
    match = _ORIGIN.fullmatch((origin or "").lower())
    if match is None or match[1] not in schemes:
        return None
    host, port = split_domain_port(match[2])
    # Django lets any number pass. No browser has a page there.
    return host if len(port) <= 5 and 0 < int(port or 1) < 2**16 else None


def _is_encrypted(message: Message) -> bool:
    """Return whether a socket is encrypted, as ``HttpRequest.is_secure`` would say of a page."""
    if settings.SECURE_PROXY_SSL_HEADER:
        key, secure = settings.SECURE_PROXY_SSL_HEADER
        name = key.removeprefix("HTTP_").replace("_", "-").lower().encode()
        values = [value for header, value in message["headers"] if header.lower() == name]
        if values:
            return bool(values[0].decode("latin-1").split(",")[0].strip() == secure)
    return bool(message.get("scheme") == "wss")
