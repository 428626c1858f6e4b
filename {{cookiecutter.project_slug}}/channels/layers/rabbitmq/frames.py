"""
Pack and read those frames of AMQP 0-9-1 that every message needs; pika does it for all others, at many times the cost.

A frame is its type, the number of its channel (a ``Line`` here), the length of its payload, the payload, and a mark of
its end. A message is three of them: a method, a header with its length and properties, and its body, which is more than
one frame if it is large.
"""

from __future__ import annotations

import functools
import struct
from typing import NamedTuple

_METHOD, _HEADER, _BODY = 1, 2, 3
_END = b"\xce"
# Type, line, length of the payload.
_FRAME = struct.Struct(">BHI")
# In front of a method's arguments come its class and its number.
_PUBLISH, _DELIVER, _ACK, _NACK = 0x3C0028, 0x3C003C, 0x3C0050, 0x3C0078
_FRAME_OF_METHOD = struct.Struct(">BHII")
# Type, line, length of the payload, class, weight, length of the body.
_FRAME_OF_HEADER = struct.Struct(">BHIHHQ")
_CLASS, _HAS_ID = 0x3C, 0x80
_NUMBER = struct.Struct(">Q")
_NUMBER_AND_FLAGS = struct.Struct(">QB")


class Delivered(NamedTuple):
    """A message that has come: for which consumer, its number, its body, and where its last frame ends."""

    tag: str
    number: int
    body: bytes
    end: int


class Confirmed(NamedTuple):
    """A confirm: of which number, whether of all before it, too, and whether the broker has taken what it confirms."""

    number: int
    multiple: bool
    taken: bool


def publish(line: int, exchange: str, key: str, mandatory: bool, number: int, body: bytes) -> bytes:
    """Return the frames of a message, whose id is its number. The body has to fit into one frame."""
    identity = b"%d" % number
    return b"".join(
        (
            _publish(line, exchange, key, mandatory),
            _FRAME_OF_HEADER.pack(_HEADER, line, 15 + len(identity), _CLASS, 0, len(body)),
            b"\x00%c%c%b" % (_HAS_ID, len(identity), identity),
            _END,
            _FRAME.pack(_BODY, line, len(body)),
            body,
            _END,
        )
    )


@functools.lru_cache(maxsize=1000)
def _publish(line: int, exchange: str, key: str, mandatory: bool) -> bytes:
    names = b"".join(bytes([len(name)]) + name for name in (exchange.encode(), key.encode()))
    arguments = b"\x00\x00%b%c" % (names, mandatory)
    return _FRAME_OF_METHOD.pack(_METHOD, line, 4 + len(arguments), _PUBLISH) + arguments + _END


def acknowledge(line: int, number: int, multiple: bool = False) -> bytes:
    """Return the frame that acknowledges a message, or all up to it."""
    return _FRAME_OF_METHOD.pack(_METHOD, line, 13, _ACK) + _NUMBER_AND_FLAGS.pack(number, multiple) + _END


def end_of(data: bytes, start: int) -> int:
    """Return where the frame ends that begins somewhere, 0 if it is not there as a whole."""
    if start + _FRAME.size > len(data):
        return 0
    end: int = start + _FRAME.size + _FRAME.unpack_from(data, start)[2] + 1
    return end if end <= len(data) else 0


def read(data: bytes, start: int, end: int) -> tuple[int, Delivered | Confirmed] | None:
    """Return the line and what a frame has brought, None if that is none of the two, or its message is not all here."""
    if data[start] != _METHOD or data[end - 1] != _END[0]:
        return None
    _, line, _, method = _FRAME_OF_METHOD.unpack_from(data, start)
    arguments = start + _FRAME_OF_METHOD.size
    if method == _DELIVER:
        delivered = _read_delivered(data, arguments, end, line)
        return None if delivered is None else (line, delivered)
    if method in (_ACK, _NACK):
        number, flags = _NUMBER_AND_FLAGS.unpack_from(data, arguments)
        return line, Confirmed(number, bool(flags & 1), method == _ACK)
    return None


def _read_delivered(data: bytes, arguments: int, header: int, line: int) -> Delivered | None:
    if header + _FRAME_OF_HEADER.size > len(data):
        return None
    kind, its_line, properties, _, _, length = _FRAME_OF_HEADER.unpack_from(data, header)
    body = header + _FRAME.size + properties + 1
    start = body + _FRAME.size
    if (kind, its_line) != (_HEADER, line) or start + length + 1 > len(data):
        return None
    if _FRAME.unpack_from(data, body) != (_BODY, line, length):
        return None
    number = arguments + 1 + data[arguments]
    tag = data[arguments + 1 : number].decode()
    return Delivered(tag, _NUMBER.unpack_from(data, number)[0], data[start : start + length], start + length + 1)
