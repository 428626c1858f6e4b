"""Test cases with fresh channel layers in memory."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar
from unittest import TestResult

from django.test import TestCase, TransactionTestCase, override_settings

from ..layers.inmemory import InMemoryChannelLayer
from ..message import Message
from ..registry import DEFAULT_CHANNEL_LAYER, ChannelLayerWrapper, channel_layers
from .client import next_message
from .routes import apply_routes

if TYPE_CHECKING:
    _Case = TransactionTestCase
else:
    _Case = object


class ChannelTestCaseMixin(_Case):
    """
    Gives each test fresh layers in memory, under the aliases in ``test_channel_aliases``.

    They have the routing of the settings. What a class does before its tests, such as ``setUpTestData``, has layers of
    its own, so that nothing of it ever reaches the real ones.
    """

    test_channel_aliases: ClassVar[Iterable[str]] = [DEFAULT_CHANNEL_LAYER]
    # What decorates the class, and counts from before setUp until after tearDown.
    applied_routes: ClassVar[tuple[apply_routes, ...]] = ()

    @classmethod
    def setUpClass(cls) -> None:
        """Put layers in place for what the class does before its tests."""
        # Settings that decorate the class come into force with Django's part of this.
        with override_settings(**(getattr(cls, "_overridden_settings", None) or {})):
            cls.enterClassContext(cls._make_layers())
        super().setUpClass()

    @classmethod
    def _make_layers(cls) -> contextlib.AbstractContextManager[None]:
        return memory_layers(cls.test_channel_aliases)

    @contextlib.contextmanager
    def _surroundings(self) -> Iterator[None]:
        """Put in place what the test runs in, from before its database is prepared until after that is cleared."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._make_layers())
            for routes in self.applied_routes:
                stack.enter_context(routes)
            yield

    def __call__(self, result: TestResult | None = None) -> None:
        """Run the test."""
        try:
            with self._surroundings():
                super().__call__(result)
        except Exception:
            # What a test itself raises is in the result already; this is about what it runs in.
            if result is None:
                raise
            result.addError(self, sys.exc_info())

    def debug(self) -> None:
        """Run the test without collecting errors."""
        with self._surroundings():
            super().debug()

    def get_next_message(
        self, channel: str, alias: str = DEFAULT_CHANNEL_LAYER, require: bool = False
    ) -> Message | None:
        """
        Take the next message of a channel, which may be the reply channel of a client; None if there is none.

        With ``require`` the test fails then.
        """
        message = next_message(channel_layers[alias], channel)
        if message is None and require:
            self.fail(f"No message waits on {channel!r} of the layer {alias!r}: expected one.")
        return message


class ChannelTestCase(ChannelTestCaseMixin, TestCase):
    """Django's ``TestCase`` with channel layers: each test in a transaction that is rolled back."""


class TransactionChannelTestCase(ChannelTestCaseMixin, TransactionTestCase):
    """Django's ``TransactionTestCase`` with channel layers: for what is sent on commit, say."""


@contextlib.contextmanager
def memory_layers(
    aliases: Iterable[str] = (DEFAULT_CHANNEL_LAYER,),
    wrap: Callable[[InMemoryChannelLayer, str, Any], ChannelLayerWrapper] = ChannelLayerWrapper,
) -> Iterator[None]:
    """Put a fresh layer in memory under each alias, with the routing that it has."""
    with contextlib.ExitStack() as stack:
        for alias in aliases:
            before = channel_layers.set(alias, None)
            # What is made for its routing alone is not left behind: other tests have other settings.
            stack.callback(channel_layers.set, alias, before)
            routing = (before or channel_layers.make_backend(alias)).routing
            channel_layers.set(alias, wrap(InMemoryChannelLayer(), alias, routing))
        yield
