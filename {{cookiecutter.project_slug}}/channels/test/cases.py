"""Test cases with fresh channel layers in memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, ClassVar
from unittest import TestResult

from django.test import TestCase, TransactionTestCase, override_settings

from ..layers.inmemory import InMemoryChannelLayer
from ..message import Message
from ..registry import DEFAULT_CHANNEL_LAYER, ChannelLayerWrapper, channel_layers
from .client import next_message

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

    @classmethod
    def setUpClass(cls) -> None:
        """Put layers in place for what the class does before its tests."""
        # Settings that decorate the class come into force with Django's part of this.
        with override_settings(**(getattr(cls, "_overridden_settings", None) or {})):
            cls.enterClassContext(memory_layers(cls.test_channel_aliases))
        super().setUpClass()

    def __call__(self, result: TestResult | None = None) -> None:
        """Run the test."""
        with memory_layers(self.test_channel_aliases):
            super().__call__(result)

    def debug(self) -> None:
        """Run the test without collecting errors."""
        with memory_layers(self.test_channel_aliases):
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
    aliases: Iterable[str] = (DEFAULT_CHANNEL_LAYER,), wrapper: type[ChannelLayerWrapper] = ChannelLayerWrapper
) -> Iterator[None]:
    """Put a fresh layer in memory under each alias, with the routing that it has."""
    with contextlib.ExitStack() as stack:
        for alias in aliases:
            layer = wrapper(InMemoryChannelLayer(), alias, channel_layers[alias].routing)
            stack.callback(channel_layers.set, alias, channel_layers.set(alias, layer))
        yield
