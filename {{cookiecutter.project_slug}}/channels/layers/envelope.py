"""
Pack messages and changes of memberships for layers that span processes, and unpack what comes from them.

An entry is a MessagePack map; each store puts in front of it what it needs itself:

    v   version, 2
    c   content; missing in an entry that changes a membership
    l   local part of the channel, for process queues
    g   group
    j   true: ``l`` joins ``g``; false: it leaves
    t   ticket of a message to workers: its number in its lane or nil, and the channel session
    f   finish of such a message: its number or nil, what of the session has changed, the keys that were removed,
        whether it asks for the promise about order, whether it comes again; the number alone if there is nothing else

Unknown keys are ignored, so newer processes may add some; an unknown version is refused.
"""

from __future__ import annotations

from typing import Any

import ormsgpack

from ..exceptions import ChannelsException, InvalidMessage, MessageTooLarge
from ..values.names import local_part
from .base import Content, Entry, Finish, Send, Ticket
from .content import copy_message

VERSION = 2

# Only what copy_message allows: everything else MessagePack could carry is passed to it, to be refused.
_OPTIONS = (
    ormsgpack.OPT_PASSTHROUGH_DATACLASS
    | ormsgpack.OPT_PASSTHROUGH_DATETIME
    | ormsgpack.OPT_PASSTHROUGH_ENUM
    | ormsgpack.OPT_PASSTHROUGH_SUBCLASS
    | ormsgpack.OPT_PASSTHROUGH_UUID
)
# Keys, framing and numbers come on top of the text and bytes that a layer's limit counts.
_PACKING_FACTOR = 2


_TICKET, _FINISH = ormsgpack.packb("t"), ormsgpack.packb("f")
_NOTHING_ELSE = Finish()[1:]
# The types of the number of a message in its lane.
_NUMBERS = (int, type(None))


class UnreadableEntry(ChannelsException):
    """Is raised for an entry that no process of this version can have written."""


def pack_message(name: str, message: Content, to_group: bool, max_size: int) -> bytes:
    """Pack a message to a channel or to a group. Raises ``InvalidMessage`` or ``MessageTooLarge``."""
    if not isinstance(message, dict):
        raise InvalidMessage(f"The content of a message is a dict, not {type(message).__name__}.")
    local, group = ("", name) if to_group else (local_part(name), "")
    return pack(local, group, message, False, max_size)


def packed_send(send: Send, max_size: int) -> bytes:
    """Return the entry of a prepared send, with what comes beside its content."""
    packed: bytes = send.content or pack(local_part(send.name), "", None, False, max_size)
    if send.ticket is None and send.finish is None:
        return packed
    return with_extras(packed, send.ticket, send.finish)


def pack(local: str, group: str, content: Content | None, joins: bool, max_size: int) -> bytes:
    """Pack an entry. Raises ``InvalidMessage`` or ``MessageTooLarge``."""
    envelope: dict[str, Any] = {"v": VERSION}
    if local:
        envelope["l"] = local
    if group:
        envelope["g"] = group
    if content is None:
        envelope["j"] = joins
    else:
        envelope["c"] = content
    try:
        packed = ormsgpack.packb(envelope, option=_OPTIONS)
    except (TypeError, ormsgpack.MsgpackEncodeError):
        # Either a type that can be made plain, or one that cannot travel; copy_message knows.
        envelope["c"] = copy_message(content or {}, max_size)
        return ormsgpack.packb(envelope, option=_OPTIONS)
    if len(packed) > max_size:
        copy_message(content or {}, max_size)
        if len(packed) > max_size * _PACKING_FACTOR:
            raise MessageTooLarge(f"The message takes {len(packed)} bytes, far more than its text and bytes.")
    return packed


def with_extras(packed: bytes, ticket: Ticket | None, finish: Finish | None) -> bytes:
    """
    Return a packed entry with what comes beside its content.

    A map of few keys begins with a byte that holds their number (MessagePack, "fixmap"), so more can be put at its end.
    """
    if ticket is not None:
        packed = bytes([packed[0] + 1]) + packed[1:] + _TICKET + ormsgpack.packb(tuple(ticket))
    if finish is not None:
        told = finish[:1] if finish[1:] == _NOTHING_ELSE else tuple(finish)
        packed = bytes([packed[0] + 1]) + packed[1:] + _FINISH + ormsgpack.packb(told)
    return packed


def unpack(packed: bytes) -> Entry:
    """Return the entry that ``pack`` has packed. Raises ``UnreadableEntry``."""
    try:
        envelope = ormsgpack.unpackb(packed)
        get = envelope.get
        if envelope["v"] != VERSION:
            raise UnreadableEntry(
                f"The entry has version {envelope['v']!r}, this process reads version {VERSION}: another version of "
                "channels has written it. Restart the interface servers and the workers, so that all run the same."
            )
        local, group, content, joins = get("l", ""), get("g", ""), get("c"), get("j", False)
        ticket = None if (parts := get("t")) is None else Ticket(*parts)
        finish = None if (told := get("f")) is None else Finish(*told)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UnreadableEntry(f"The entry is no envelope: {error}.") from error
    if content is not None and type(content) is not dict:
        raise UnreadableEntry(f"The content of an entry is a map, not {type(content).__name__}.")
    if type(local) is not str or type(group) is not str or type(joins) is not bool:
        raise UnreadableEntry("The local part and the group of an entry are text, and 'j' is true or false.")
    if ticket is not None and not (
        type(ticket.number) in _NUMBERS
        and type(ticket.session) is dict
        and isinstance((content or {}).get("reply_channel"), str)
    ):
        raise UnreadableEntry("A ticket holds a number or nil and a map, and the message beside it a reply channel.")
    if finish is not None and not (type(finish.number) in _NUMBERS and (len(told) == 1 or _is_change(finish))):
        raise UnreadableEntry("A finish holds a number or nil, a map, a list of keys, and twice true or false.")
    return Entry(local, group, content, joins, False, ticket, finish)


def _is_change(finish: Finish) -> bool:
    _, changed, removed, *flags = finish
    is_change = type(changed) is dict and type(removed) is list and all(type(key) is str for key in removed)
    return is_change and all(type(flag) is bool for flag in flags)
