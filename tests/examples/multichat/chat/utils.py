import json
from functools import wraps

from .exceptions import Refused
from .models import Room


def explains_refusals(consumer):
    """Let a consumer raise Refused, and send the reason to the one who asked."""

    @wraps(consumer)
    def inner(message, *args, **kwargs):
        try:
            return consumer(message, *args, **kwargs)
        except Refused as refused:
            message.reply_channel.send({"text": json.dumps({"refused": refused.reason})})

    return inner


def find_room(room_id, user):
    """Return a room that the user may be in."""
    if not user.is_authenticated:
        raise Refused("sign in first")
    room = Room.objects.filter(pk=room_id).first()
    if room is None or (room.staff_only and not user.is_staff):
        raise Refused("no such room")
    return room
