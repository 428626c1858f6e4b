"""The setting ``CHANNELS_INTERFACE``."""

import re
from types import SimpleNamespace

import pytest

from channels.exceptions import InvalidChannelLayerError
from channels.interface.limits import Limits


def test_without_the_setting_there_are_limits():
    limits = Limits.from_settings(SimpleNamespace())

    assert limits == Limits()
    assert (limits.http_timeout, limits.socket_outbox_size) == (120, 2**20)


def test_the_setting_changes_what_it_names():
    limits = Limits.from_settings(SimpleNamespace(CHANNELS_INTERFACE={"http_timeout": 5, "stop_grace": 1}))

    assert limits == Limits(http_timeout=5, stop_grace=1)


def test_an_unknown_name_is_refused_with_those_that_are_known():
    with pytest.raises(InvalidChannelLayerError, match=re.escape("unknown key 'timeout'; expected http_timeout, hand")):
        Limits.from_settings(SimpleNamespace(CHANNELS_INTERFACE={"timeout": 5}))
