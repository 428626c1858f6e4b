"""Put another routing in the place of that of the settings, for some tests or a part of one."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, TypeVar
from unittest import TestCase

from ..registry import DEFAULT_CHANNEL_LAYER, channel_layers
from ..routing import include

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class apply_routes:
    """
    Have the layers of some aliases use these routes and no others; a context manager, and a decorator.

    ``routes`` is a route, a list of routes, a list of such lists, a dict of channel and consumer, or the dotted path of
    a routing. It decorates functions, asynchronous ones too, and classes of ``unittest``. Raises
    ``InvalidChannelLayerError`` for what is no routing.
    """

    def __init__(self, routes: Any, aliases: str | Sequence[str] = (DEFAULT_CHANNEL_LAYER,)) -> None:
        self.routes = _routing(routes)
        self._aliases = [aliases] if isinstance(aliases, str) else list(aliases)
        # One for each time that it has been entered and not left.
        self._left: list[ExitStack] = []

    def __enter__(self) -> apply_routes:
        with ExitStack() as stack:
            for alias in self._aliases:
                self._apply(alias, stack)
            self._left.append(stack.pop_all())
        return self

    def __exit__(self, *exception: object) -> None:
        self._left.pop().close()

    def enter(self) -> None:
        """Put the routes in place."""
        self.__enter__()

    def exit(self) -> None:
        """Put back what was there before."""
        self.__exit__()

    def _apply(self, alias: str, stack: ExitStack) -> None:
        layer = channel_layers[alias]
        stack.callback(setattr, layer, "router", layer.router)
        stack.callback(setattr, layer, "routing", layer.routing)
        layer.routing = self.routes
        layer.router = layer.make_router()

    def __call__(self, decorated: Decorated) -> Decorated:
        """Decorate a test function, or all tests of a class."""
        made: Any
        if isinstance(decorated, type):
            made = self._decorate_class(decorated)
        elif inspect.iscoroutinefunction(decorated):

            @functools.wraps(decorated)
            async def made(*args: Any, **kwargs: Any) -> Any:
                with self:
                    return await decorated(*args, **kwargs)

        else:

            @functools.wraps(decorated)
            def made(*args: Any, **kwargs: Any) -> Any:
                with self:
                    return decorated(*args, **kwargs)

        result: Decorated = made
        return result

    def _decorate_class(self, case: type) -> type:
        if not issubclass(case, TestCase):
            raise TypeError(
                f"apply_routes decorates functions and classes of unittest; {case.__name__} is neither. "
                "Decorate its functions, or use it as a context manager in a fixture."
            )
        if hasattr(case, "applied_routes"):
            case.applied_routes = (*case.applied_routes, self)
            return case
        set_up = case.setUp

        @functools.wraps(set_up)
        def set_up_with_routes(test: TestCase) -> None:
            # Left after tearDown, and if setUp fails, too.
            test.enterContext(self)
            set_up(test)

        setattr(case, "setUp", set_up_with_routes)  # noqa: B010
        return case


def _routing(routes: Any) -> Any:
    if hasattr(routes, "match") and hasattr(routes, "channel_names"):
        return [routes]
    if isinstance(routes, list | tuple):
        return [include(part) if isinstance(part, list | tuple | str) else part for part in routes]
    return routes
