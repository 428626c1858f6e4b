"""
Find the consumer of a message.

A routing is a list of ``route``, ``route_class`` and ``include``, a dict of channel name to consumer, or the
dotted path of either. Anything with ``channel_names()`` and ``match(message)`` may stand in a list too.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from django.conf import settings

from .exceptions import InvalidChannelLayerError
from .values.paths import behind


class Message(Protocol):
    """What a route sees of a message."""

    channel: Any
    content: dict[str, Any]

    def with_content(self, content: dict[str, Any]) -> Message:
        """Return this message with another content."""


Consumer = Callable[..., Any]
Match = tuple[Consumer, dict[str, Any]]


class Route:
    """One consumer for some channels, with filters on the content of the message."""

    def __init__(self, channels: str | Iterable[str], consumer: Consumer | str, **filters: str) -> None:
        self._channels = frozenset([channels] if isinstance(channels, str) else channels)
        self.consumer = import_target(consumer)
        if not callable(self.consumer):
            raise InvalidChannelLayerError(f"The consumer of {sorted(self._channels)} is not callable: {consumer!r}.")
        self._filters = _compile(filters)

    def channel_names(self) -> set[str]:
        """Return the channels this route reads."""
        return set(self._channels)

    def match(self, message: Message) -> Match | None:
        """Return the consumer and its keyword arguments, or None."""
        if message.channel.name not in self._channels:
            return None
        found = _match_all(self._filters, message)
        if found is None:
            return None
        return self.consumer, {name: text for match in found.values() for name, text in match.groupdict().items()}

    def __repr__(self) -> str:
        return f"<Route {'/'.join(sorted(self._channels))} -> {describe(self.consumer)}>"


class Include:
    """
    A routing inside a routing.

    Each filter must match the start of its value; the routes inside see what is left of it.
    """

    def __init__(self, routing: Any, **filters: str) -> None:
        self._routes = make_routes(routing)
        self._filters = _compile(filters)

    def channel_names(self) -> set[str]:
        """Return the channels that the routes inside read."""
        return set().union(*(route.channel_names() for route in self._routes))

    def match(self, message: Message) -> Match | None:
        """Return the consumer and its keyword arguments, or None; inner captures win over outer ones."""
        found = _match_all(self._filters, message)
        if found is None:
            return None
        rest = {key: match.string[match.end() :] for key, match in found.items()}
        inner = _first_match(self._routes, message.with_content({**message.content, **rest}))
        if inner is None:
            return None
        outer = {name: text for match in found.values() for name, text in match.groupdict().items()}
        return inner[0], {**outer, **inner[1]}


def route(channels: str | Iterable[str], consumer: Consumer | str, **filters: str) -> Route:
    """
    Route one channel, or several, to a consumer: a callable or its dotted path.

    A filter names a key of the message and gives a regular expression that must match the start of its text
    (bytes count as text if they are ASCII). Named captures become keyword arguments of the consumer.
    """
    return Route(channels, consumer, **filters)


def route_class(consumer: Any, **filters: str) -> Route:
    """Route the channels that a class-based consumer names in ``channel_names()`` to it."""
    target = import_target(consumer)
    return Route(target.channel_names(), target, **filters)


def include(routing: Any, **filters: str) -> Include:
    """Include a routing: a list, a dict, or the dotted path of one. What its filters match is cut off inside."""
    return Include(routing, **filters)


class Router:
    """The routing of one channel layer."""

    def __init__(self, routing: Any) -> None:
        self._routes = make_routes(routing)

    @property
    def channels(self) -> set[str]:
        """The names of all channels that have a route."""
        return set().union(*(route.channel_names() for route in self._routes))

    def add_route(self, route: Any) -> None:
        """Add a route at the end, where it takes what no other has taken."""
        self._routes.append(route)

    def match(self, message: Message) -> Match | None:
        """
        Return the consumer of a message and its keyword arguments, or None. The first route that matches wins.

        Routes see of the path what is left of it behind the root path, as Django's URL patterns do.
        """
        path, root_path = message.content.get("path"), message.content.get("root_path")
        if root_path and isinstance(path, str) and (rest := behind(path, root_path)) is not None:
            message = message.with_content({**message.content, "path": rest})
        return _first_match(self._routes, message)

    def check_default(self, http_consumer: Consumer | str = "channels.handler.view_consumer") -> None:
        """Add what a site gets without writing it: Django's views, and sockets that are accepted."""
        self.add_route(Route("http.request", http_consumer))
        self.add_route(Route("websocket.connect", accept_connection))
        self.add_route(Route(["websocket.receive", "websocket.disconnect"], ignore_message))
        if getattr(settings, "CHANNELS_SOCKETS_FOLLOW_ACCOUNT", 0):
            self.add_route(Route("websocket.recheck", "channels.auth.recheck"))


def accept_connection(message: Any, **kwargs: Any) -> None:
    """Accept a socket that no route of the site claims."""
    if message.reply_channel is not None:
        message.reply_channel.send({"accept": True})


def ignore_message(message: Any, **kwargs: Any) -> None:
    """Do nothing with a message."""


def make_routes(routing: Any) -> list[Any]:
    """Return a routing as a list of route objects. Raises ``InvalidChannelLayerError`` for anything else."""
    routing = import_target(routing)
    if isinstance(routing, Mapping):
        return [Route(channel, consumer) for channel, consumer in routing.items()]
    if isinstance(routing, str | bytes) or not isinstance(routing, Iterable):
        raise InvalidChannelLayerError(f"A routing is a list of routes, or a dict, not {type(routing).__name__}.")
    routes = list(routing)
    for item in routes:
        if not (hasattr(item, "match") and hasattr(item, "channel_names")):
            raise InvalidChannelLayerError(
                f"{item!r} stands in a routing and is no route. Write route('channel.name', consumer)."
            )
    return routes


def import_target(target: Any) -> Any:
    """
    Return what a dotted path names; anything but text is returned as it is.

    A path that leads nowhere raises ``InvalidChannelLayerError``. An import error inside the module that it
    names surfaces as it is, with its own traceback.
    """
    if not isinstance(target, str):
        return target
    module_name, _, attribute = target.rpartition(".")
    if not module_name:
        raise InvalidChannelLayerError(f"{target!r} is no dotted path. Write 'package.module.name'.")
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise InvalidChannelLayerError(
                f"{target!r} cannot be imported: there is no module {error.name!r}."
            ) from error
        raise
    except AttributeError as error:
        if error.name == attribute and getattr(error.obj, "__name__", "") == module_name:
            raise InvalidChannelLayerError(f"The module {module_name!r} has no {attribute!r}.") from error
        raise


def describe(consumer: Consumer) -> str:
    """Return a consumer's dotted name for the log."""
    name = getattr(consumer, "__qualname__", None) or type(consumer).__qualname__
    return f"{getattr(consumer, '__module__', '?')}.{name}"


def _compile(filters: Mapping[str, str]) -> dict[str, re.Pattern[str]]:
    compiled = {key: _compile_one(key, pattern) for key, pattern in filters.items()}
    for key, pattern in compiled.items():
        if pattern.groups != len(pattern.groupindex):
            raise InvalidChannelLayerError(
                f"The filter {key}={pattern.pattern!r} has an unnamed group. "
                "Captures become keyword arguments: name it, (?P<name>…), or do not capture, (?:…)."
            )
    return compiled


def _compile_one(key: str, pattern: str) -> re.Pattern[str]:
    try:
        compiled: re.Pattern[Any] = re.compile(pattern)
        if isinstance(compiled.pattern, bytes):
            # Values are matched as text, bytes only if they are ASCII.
            compiled = re.compile(compiled.pattern.decode("ascii"), compiled.flags | re.ASCII)
        return compiled
    except (TypeError, ValueError, re.error) as error:
        raise InvalidChannelLayerError(f"The filter {key}={pattern!r} is no regular expression: {error}.") from error


def _match_all(filters: Mapping[str, re.Pattern[str]], message: Message) -> dict[str, re.Match[str]] | None:
    found = {}
    for key, pattern in filters.items():
        text = _text(message.content.get(key))
        match = pattern.match(text) if text is not None else None
        if match is None:
            return None
        found[key] = match
    return found


def _text(value: Any) -> str | None:
    if isinstance(value, bytes) and value.isascii():
        return value.decode("ascii")
    return value if isinstance(value, str) else None


def _first_match(routes: Iterable[Any], message: Message) -> Match | None:
    for item in routes:
        match: Match | None = item.match(message)
        if match is not None:
            return match
    return None
