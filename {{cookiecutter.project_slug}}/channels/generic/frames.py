"""The JSON in frames: one way to write it, one way to read it, and one shape for the answer to what makes no sense."""

from __future__ import annotations

import json
import math
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

# How much of what a client has sent is told back to it.
_SHOWN = 60


def encode_json(content: Any) -> str:
    """
    Return content as JSON, dates, decimals, UUIDs and lazy texts as Django writes them.

    Raises ``TypeError`` for what has no form in JSON, ``ValueError`` for NaN and infinity, which browsers cannot read.
    """
    return _ENCODER.encode(content)


def decode_json(text: str) -> Any:
    """Return what is in JSON. Raises ``ValueError``, or ``RecursionError`` for brackets nested without end."""
    return _DECODER.decode(text)


def shown(value: Any) -> str:
    """Return a value that a client has sent as an answer may name it: as JSON, and not all of it if it is long."""
    try:
        text = json.dumps(value, default=str)
    except RecursionError:
        text = type(value).__name__
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:_SHOWN]} is too large")
    return number


# Made once: to make one takes longer than to read or write a frame.
_ENCODER = DjangoJSONEncoder(allow_nan=False)
_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite)
