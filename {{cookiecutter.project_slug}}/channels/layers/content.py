"""
Copy and check the content of messages: what may travel through a channel layer, the same for every layer.

A message is a dict with text keys. Values are bytes, text, booleans, None, floats, integers of 64 bits (signed
or unsigned), lists and dicts of the same. Tuples arrive as lists.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..exceptions import InvalidMessage, MessageTooLarge

MAX_DEPTH = 64
# One mebibyte of data, and room for the keys and headers around it.
MAX_MESSAGE_SIZE = 2**20 + 2**16
# The text and bytes in a channel session, which travels with each message of its connection.
MAX_SESSION_SIZE = 64 * 1024

_SMALLEST_INTEGER = -(2**63)
_LARGEST_INTEGER = 2**64 - 1
_UNCHANGEABLE = frozenset([str, bytes, int, float, bool, type(None)])
_PLAIN_TYPES: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (bytes, bytes),
    (bytearray, bytes),
    (memoryview, bytes),
    (int, int),
    (float, float),
    (dict, dict),
    (list, list),
    (tuple, list),
)


def copy_message(content: dict[str, Any], max_size: int = MAX_MESSAGE_SIZE) -> dict[str, Any]:
    """
    Return a deep copy of a message's content that the sender can no longer change.

    Raises ``InvalidMessage`` for what cannot travel, and ``MessageTooLarge`` when the text and bytes in it
    come to more than ``max_size`` bytes.
    """
    if not isinstance(content, dict):
        raise InvalidMessage(f"The content of a message is a dict, not {type(content).__name__}.")
    if _size_of_plain(content) <= max_size:
        return dict(content)
    copy: dict[str, Any] = _Copier(max_size).copy(content, None, 0)
    return copy


def _size_of_plain(content: dict[str, Any]) -> float:
    """Return what the text and bytes come to in a dict of values that nobody can change; infinity for any other."""
    size = 0
    for key, value in content.items():
        kind = type(value)
        if type(key) is not str or not key.isascii():
            return math.inf
        if kind is str:
            if not value.isascii():
                return math.inf
            size += len(value)
        elif kind is bytes:
            size += len(value)
        elif kind is int:
            if not _SMALLEST_INTEGER <= value <= _LARGEST_INTEGER:
                return math.inf
        elif value is not None and kind is not bool and kind is not float:
            return math.inf
        size += len(key)
    return size


def copy_received(content: dict[str, Any]) -> dict[str, Any]:
    """Return a deep copy of a message that has come through a layer, and so holds nothing but plain types."""
    return {key: value if type(value) in _UNCHANGEABLE else _copy_plain(value) for key, value in content.items()}


def is_same(one: Any, other: Any) -> bool:
    """Say whether two values that may travel are the same, types included: 1, 1.0 and True are equal, and three."""
    if type(one) is not type(other):
        return False
    if type(one) is dict:
        return one.keys() == other.keys() and all(is_same(value, other[key]) for key, value in one.items())
    if type(one) is list:
        return len(one) == len(other) and all(map(is_same, one, other))
    return bool(one == other)


def _copy_plain(value: Any) -> Any:
    if type(value) is list:
        return [item if type(item) in _UNCHANGEABLE else _copy_plain(item) for item in value]
    return copy_received(value)


class _Copier:
    __slots__ = ("left", "max_size")

    def __init__(self, max_size: int) -> None:
        self.max_size = max_size
        self.left = max_size

    def copy(self, value: Any, key: str | None, depth: int) -> Any:
        kind = type(value)
        if kind is str:
            self._take(len(value) if value.isascii() else _encoded_length(value, _at(key)))
            return value
        if kind is bytes:
            self._take(len(value))
            return value
        if value is None or kind is bool or kind is float:
            return value
        if kind is int:
            if not _SMALLEST_INTEGER <= value <= _LARGEST_INTEGER:
                raise InvalidMessage(f"{_at(key)} is an integer of more than 64 bits.")
            return value
        if depth >= MAX_DEPTH:
            raise InvalidMessage(f"{_at(key)} is nested more than {MAX_DEPTH} levels deep.")
        if kind is dict:
            return {self._key(name): self.copy(item, name, depth + 1) for name, item in value.items()}
        if kind is list or kind is tuple:
            return [self.copy(item, key, depth + 1) for item in value]
        return self.copy(_plain(value, key), key, depth)

    def _key(self, key: Any) -> str:
        if not isinstance(key, str):
            raise InvalidMessage(f"A message has the key {key!r}; keys are text.")
        self._take(len(key) if key.isascii() else _encoded_length(key, f"The key {key!r}"))
        return key if type(key) is str else _plain_text(key)

    def _take(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise MessageTooLarge(
                f"The message is larger than {self.max_size} bytes. Send it in parts, or store it and send its key."
            )


def _plain(value: Any, key: str | None) -> Any:
    """Turn subclasses (safe strings, enums, ordered dicts, views of bytes) into the plain types."""
    if isinstance(value, str):
        return _plain_text(value)
    for base, plain in _PLAIN_TYPES:
        if isinstance(value, base):
            return plain(value)
    raise InvalidMessage(
        f"{_at(key)} is of type {type(value).__name__}, which cannot travel through a channel layer. "
        "Send text, bytes, numbers, booleans, None, lists or dicts."
    )


def _plain_text(value: str) -> str:
    # An enum's value, where str() may give its name. Lazy objects only claim to be text: they must be asked.
    return str.__str__(value) if issubclass(type(value), str) else str(value)


def _encoded_length(text: str, place: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidMessage(f"{place} holds a lone surrogate, which is no text: {error}.") from error


def _at(key: str | None) -> str:
    return "The message" if key is None else f"The value of {key!r}"
