"""
Write the content of a message down as JSON, and read it again as it was.

What JSON lacks is marked: bytes become ``{"$bytes": "<Base64>"}``. A dict that looks like a mark itself stands behind
another one, ``{"$dict": {…}}``. All other content is what ``json.dumps`` makes of it, as in the tables of Channels 1.
"""

from __future__ import annotations

import base64
import json
from typing import Any

_BYTES, _DICT = "$bytes", "$dict"
_MARKS = ({_BYTES}, {_DICT})


def to_text(content: dict[str, Any]) -> str:
    """Return the text for content that a channel layer has checked."""
    return json.dumps(_marked(content), separators=(",", ":"))


def from_text(text: str) -> Any:
    """Return the content for a text. Raises ``ValueError`` for one that nobody has written so."""
    return _unmarked(json.loads(text))


def _marked(value: Any) -> Any:
    if isinstance(value, bytes):
        return {_BYTES: base64.b64encode(value).decode("ascii")}
    if isinstance(value, dict):
        marked = {key: _marked(item) for key, item in value.items()}
        return {_DICT: marked} if marked.keys() in _MARKS else marked
    return [_marked(item) for item in value] if isinstance(value, list) else value


def _unmarked(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {_BYTES}:
            return _bytes(value[_BYTES])
        inner = value[_DICT] if value.keys() == {_DICT} else value
        if not isinstance(inner, dict):
            raise ValueError(f"{_DICT} marks a dict, not {type(inner).__name__}.")
        return {key: _unmarked(item) for key, item in inner.items()}
    return [_unmarked(item) for item in value] if isinstance(value, list) else value


def _bytes(text: Any) -> bytes:
    if not isinstance(text, str):
        raise ValueError(f"{_BYTES} marks bytes in Base64, not {type(text).__name__}.")
    return base64.b64decode(text, validate=True)
