"""
What all class-based consumers share: a method for each channel, and the decorators as attributes.

The class itself is the consumer: to call it with a message is to make an object, which takes that message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Concatenate, Generic, ParamSpec, TypeVar

from ..auth import channel_session_user
from ..exceptions import InvalidChannelLayerError
from ..message import Message
from ..registry import AnyLayer
from ..routing import Consumer, Route, route_class
from ..sessions import channel_session

P = ParamSpec("P")
R = TypeVar("R")


class BaseConsumer:
    """
    A consumer whose methods take the messages of the channels in ``method_mapping``.

    ``message`` is the message, ``kwargs`` is what the routing has captured. ``channel_session`` and
    ``channel_session_user`` put the decorators of these names around the methods.
    """

    # Channel name to method name.
    method_mapping: ClassVar[Mapping[str, str]] = {}
    channel_session: bool = False
    channel_session_user: bool = False
    # The layer of the message; what is called on the class itself uses this one, None for the default layer.
    channel_layer: AnyLayer | None = None

    def __init__(self, message: Message, **kwargs: Any) -> None:
        self.message = message
        self.kwargs = kwargs
        self.channel_layer = message.channel_layer
        self.dispatch(message, **kwargs)

    @classmethod
    def channel_names(cls) -> set[str]:
        """Return the channels that this consumer reads. Raises ``InvalidChannelLayerError`` if a method is missing."""
        for channel, method in cls.method_mapping.items():
            if not callable(getattr(cls, method, None)):
                raise InvalidChannelLayerError(
                    f"{cls.__qualname__}.method_mapping sends {channel!r} to the method {method!r}, which is not there."
                )
        return set(cls.method_mapping)

    @classmethod
    def as_route(cls, attrs: Mapping[str, Any] | None = None, **filters: str) -> Route:
        """Return a route to this consumer; with ``attrs``, to one like it with these class attributes."""
        if attrs is not None and not isinstance(attrs, Mapping):
            raise TypeError(f"The attrs of a route are a dict of class attributes, not {type(attrs).__name__}.")
        named = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
        return route_class(type(cls.__name__, (cls,), {**named, **attrs}) if attrs else cls, **filters)

    def get_handler(self, message: Message, **kwargs: Any) -> Consumer:
        """Return what takes this message: its method, with the decorators that the class asks for."""
        handler: Consumer = getattr(self, self.method_mapping[message.channel.name])
        if self.channel_session_user:
            return channel_session_user(handler)
        return channel_session(handler) if self.channel_session else handler

    def dispatch(self, message: Message, **kwargs: Any) -> Any:
        """Have the message taken."""
        return self.get_handler(message, **kwargs)(message, **kwargs)


class class_or_instance_method(Generic[P, R]):
    """Makes a method of a function, which gets the object that it is called on, or the class."""

    def __init__(self, function: Callable[Concatenate[Any, P], R]) -> None:
        self._function = function
        self.__doc__ = function.__doc__

    def __get__(self, instance: object | None, owner: type | None = None) -> Callable[P, R]:
        target = owner if instance is None else instance

        def method(*args: P.args, **kwargs: P.kwargs) -> R:
            return self._function(target, *args, **kwargs)

        return method
