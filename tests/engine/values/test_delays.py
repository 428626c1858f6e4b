import math
from decimal import Decimal

import pytest

from channels.values.delays import LONGEST, delayed, read_delayed, require_delay


@pytest.mark.parametrize(
    ("given", "seconds"), [(0, 0), (0.5, 0.5), (LONGEST, LONGEST), (-3, 0), (-0.001, 0), (-math.inf, 0)]
)
def test_a_delay_is_a_number_of_seconds_and_one_that_is_over_is_none(given, seconds):
    assert require_delay(given) == seconds


@pytest.mark.parametrize("given", [math.nan, math.inf, LONGEST + 1, 10**310, "5", None, True, Decimal(5)])
def test_what_is_no_delay_is_refused_with_the_value(given):
    with pytest.raises(ValueError, match="A message cannot be delayed by") as refused:
        require_delay(given)

    assert repr(given) in str(refused.value)


def test_the_message_that_asks_for_a_delay_is_that_of_channels_1():
    assert delayed("mail", {"to": 1}, 1.5) == {"channel": "mail", "delay": 1500, "content": {"to": 1}}


@pytest.mark.parametrize("seconds", [0, 0.001, 1.5, LONGEST])
def test_it_is_read_as_it_was_made(seconds):
    assert read_delayed(delayed("mail", {"to": 1}, seconds)) == ("mail", {"to": 1}, seconds)


SOUND = {"channel": "mail", "delay": 5, "content": {}}


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"channel": "not a name"}, "'not a name' is no valid channel name"),
        ({"channel": b"mail"}, "A channel name is text, not bytes"),
        ({"content": "[]"}, "The content of a delayed message is a dict, not str"),
        ({"delay": "5"}, "a number of milliseconds, not '5'"),
        ({"delay": True}, "a number of milliseconds, not True"),
        ({"delay": None}, "a number of milliseconds, not None"),
        ({"delay": math.nan}, "cannot be delayed by nan"),
        ({"delay": 2**64 - 1}, "cannot be delayed by"),
    ],
)
def test_what_is_wrong_with_it_is_said(changed, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence):
        read_delayed({**SOUND, **changed})


@pytest.mark.parametrize("key", SOUND)
def test_a_key_that_is_missing_is_named(key):
    with pytest.raises(ValueError, match=f"A message on asgi.delay lacks '{key}'"):
        read_delayed({name: value for name, value in SOUND.items() if name != key})
