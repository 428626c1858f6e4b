"""Where the brokers are: URLs become pika's parameters, and what goes wrong there becomes a sentence."""

from __future__ import annotations

import socket
import ssl
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pika
from pika import exceptions as pika_exceptions

from ...exceptions import InvalidChannelLayerError

# Two missed ones, and the broker takes a process for dead. The I/O thread sends them whatever consumers do.
HEARTBEAT = 5
# What a connection may take to be made, in seconds.
CONNECT_TIMEOUT = 5.0
_PORTS = {"amqp": 5672, "amqps": 5671}
_TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")


class Address:
    """One broker. Raises ``InvalidChannelLayerError`` for a URL that cannot be meant."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if "@" in url and "@" not in parts.netloc:
            raise _wrong("", "its user or password holds one of / ? #, to be written as %2F, %3F and %23")
        if parts.scheme not in _PORTS:
            raise _wrong(
                url,
                f"it begins with {repr(parts.scheme) if parts.scheme else 'nothing'} and not with amqp:// or amqps://",
            )
        try:
            port = parts.port or _PORTS[parts.scheme]
        except ValueError as error:
            raise _wrong(url, str(error)) from error
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        unknown = [name for name in options if name not in _TLS_FILES or parts.scheme == "amqp"]
        if unknown:
            raise _wrong(url, f"it has the option {unknown[0]!r}, which is none of an {parts.scheme} URL")
        self.host = parts.hostname or "localhost"
        self.user = unquote(parts.username or "guest")
        # As everywhere: the path without its first slash, and "/" where there is none.
        self.virtual_host = unquote(parts.path[1:]) or "/"
        self.name = f"{parts.scheme}://{self.host}:{port}"
        self._port = port
        self._password = unquote(parts.password or "guest")
        self._tls = _tls_options(options, self.host, url) if parts.scheme == "amqps" else None

    def parameters(self) -> Any:
        """Return pika's parameters."""
        return pika.ConnectionParameters(
            host=self.host,
            port=self._port,
            virtual_host=self.virtual_host,
            credentials=pika.PlainCredentials(self.user, self._password),
            ssl_options=self._tls,
            heartbeat=HEARTBEAT,
            socket_timeout=CONNECT_TIMEOUT,
            stack_timeout=CONNECT_TIMEOUT,
            client_properties={"connection_name": "channels"},
        )

    def describe(self, error: BaseException) -> str:
        """Say why there is no connection."""
        for cause in _causes(error):
            if isinstance(cause, pika_exceptions.ProbableAuthenticationError):
                return (
                    f"{self.name} refuses the user {self.user!r} or its password. Change them in CHANNEL_LAYER_URL, or "
                    "add the user: rabbitmqctl add_user. ('guest' may connect from the broker's own machine only.)"
                )
            if isinstance(cause, pika_exceptions.ProbableAccessDeniedError) or "530" in str(cause)[:8]:
                return (
                    f"{self.name} has no virtual host {self.virtual_host!r}, or the user {self.user!r} may not use it. "
                    f"The path of CHANNEL_LAYER_URL names it; rabbitmqctl set_permissions -p {self.virtual_host} "
                    f"{self.user} '.*' '.*' '.*' permits it."
                )
            if isinstance(cause, ssl.SSLError):
                return (
                    f"{self.name} cannot be reached over TLS: {cause}. Its certificate must be for this host name, "
                    "from an authority that ?ssl_ca_certs= names or the system knows, and the port one for TLS."
                )
            if isinstance(cause, socket.gaierror):
                return f"The host of {self.name} is not known: {cause}."
            if isinstance(cause, OSError):
                return f"{self.name} cannot be reached: {cause}."
        reason = next((text for cause in _causes(error) if (text := str(cause))), type(error).__name__)
        tls = " Does it expect amqps://?" if self._tls is None else " Does it expect amqp://, without TLS?"
        hint = tls if isinstance(error, pika_exceptions.IncompatibleProtocolError) else ""
        return f"{self.name} does not talk to us: {reason}.{hint}"


def _tls_options(files: dict[str, str], host: str, url: str) -> Any:
    try:
        context = ssl.create_default_context(cafile=files.get("ssl_ca_certs"))
        if "ssl_certfile" in files:
            context.load_cert_chain(files["ssl_certfile"], files.get("ssl_keyfile"))
    except OSError as error:
        raise _wrong(url, f"a file for TLS cannot be used: {error}") from error
    return pika.SSLOptions(context, host)


def _wrong(url: str, why: str) -> InvalidChannelLayerError:
    # It may hold a password.
    place = urlsplit(url).netloc.rpartition("@")[2]
    return InvalidChannelLayerError(
        f"The channel layer's host {place!r} is no broker's address: {why}. Expected for example "
        "amqp://user:password@10.0.0.5:5672/virtual-host. Change CHANNEL_LAYER_URL, or 'hosts' in the CONFIG of "
        "CHANNEL_LAYERS."
    )


def _causes(error: BaseException | None) -> list[BaseException]:
    """Return an error and what has led to it, as pika tells it: by attributes, arguments or causes."""
    found: list[BaseException] = []
    queue = [error]
    while queue:
        one = queue.pop(0)
        if one is None or one in found:
            continue
        found.append(one)
        queue += [part for part in (*one.args, *getattr(one, "exceptions", ())) if isinstance(part, BaseException)]
        queue += [getattr(one, "exception", None), one.__cause__, one.__context__]
    return found
