"""
What browser and server say to each other, as plain values.

``read`` turns the text of a frame into a ``Say`` or a ``Sync``, or raises ``Refused``. The functions below
it make the frames that go back. Nothing here touches a socket or the database, so the rules are easy to
test. ``consumers.py`` shows every frame.
"""

import json
import uuid
from dataclasses import dataclass

from django.core.exceptions import ValidationError

from .models import Message

# The largest primary key a database knows.
MAX_PK = 2**63 - 1


class Refused(Exception):
    """A frame that cannot be followed: a word for the program, a sentence for the person."""

    def __init__(self, reason, detail, client_id=None):
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.client_id = client_id


@dataclass(frozen=True)
class Say:
    client_id: str
    text: str


@dataclass(frozen=True)
class Sync:
    after: int
    read: bool = False


def read(text):
    """Return the ``Say`` or ``Sync`` in the text of a frame; raise ``Refused`` when there is none."""
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError):  # not JSON, or brackets nested without end
        raise Refused("malformed", "This is not JSON.") from None
    if not isinstance(frame, dict):
        raise Refused("malformed", "A frame is a JSON object.")
    match frame.get("type"):
        case "say":
            return read_say(frame)
        case "sync":
            return read_sync(frame)
    raise Refused("malformed", 'The type of a frame is "say" or "sync".')


def read_say(frame):
    try:
        client_id = str(uuid.UUID(frame.get("id")))
    except (TypeError, ValueError, AttributeError):
        raise Refused("malformed", "The id of a message is a UUID.") from None
    text = frame.get("text")
    if not isinstance(text, str):
        raise Refused("malformed", "The text of a message is a string.", client_id)
    text = text.strip()
    try:
        Message._meta.get_field("text").clean(text, None)
    except ValidationError as error:
        raise Refused("text", " ".join(error.messages), client_id) from None
    return Say(client_id, text)


def read_sync(frame):
    after = frame.get("after")
    if type(after) is not int or not 0 <= after <= MAX_PK:  # True is an int, too
        raise Refused("malformed", "A sync asks for the messages after a number.")
    return Sync(after, read=frame.get("read") is True)


def described(message):
    """Return a message as windows and pages know it. ``author`` is None when the site itself speaks."""
    return {
        "pk": message.pk,
        "id": str(message.client_id),
        "author": message.author.get_username() if message.author else None,
        "text": message.text,
        "created": message.created.isoformat(),
    }


def message_frame(message):
    return {"type": "message", **described(message)}


def removed_frame(pk):
    return {"type": "removed", "pk": pk}


def messages_frame(messages, more, user):
    """Answer a sync. ``user`` tells the window whom it is signed in as by now, None for nobody."""
    return {
        "type": "messages",
        "user": user.get_username() or None,
        "messages": [described(message) for message in messages],
        "more": more,
    }


def refused_frame(reason, detail, client_id=None, seconds=None):
    """Say no. ``seconds``: how long to wait before the same may be tried again."""
    return {"type": "refused", "id": client_id, "reason": reason, "detail": detail, "seconds": seconds}
