"""
What the lists of rooms are told: of each room and each message that is saved or deleted, and of what their user reads.

A binding is told of its model wherever that is saved, as a signal is, and sends after the commit. ``room_list.py`` has
the sockets. Nothing may be changed by way of a binding, unless it has a ``has_permission`` that says so.
"""

from django.template.defaultfilters import truncatechars

from channels.binding.websockets import WebsocketBinding

from .broadcast import is_whole_room
from .models import LastRead, Message, Room

# How much of the newest message a list shows.
LATEST_TEXT = 120

ROOM_LISTS = "room-lists"


def reads_group(user_pk):
    """Name the group of a user's own lists: what one has read is nobody else's business."""
    return f"reads-{user_pk}"


class RoomBinding(WebsocketBinding):
    model = Room
    stream = "rooms"
    fields = ["name"]
    send_members = ["get_absolute_url"]

    @classmethod
    def group_names(cls, instance):
        return [ROOM_LISTS]


class MessageBinding(WebsocketBinding):
    model = Message
    stream = "messages"
    fields = ["room", "author", "text", "created"]

    @classmethod
    def group_names(cls, instance):
        return [ROOM_LISTS]

    def serialize(self, instance, action):
        return None if is_whole_room(self.signal_kwargs.get("origin")) else super().serialize(instance, action)

    def serialize_data(self, instance):
        data = super().serialize_data(instance)
        return data | {"text": truncatechars(data["text"], LATEST_TEXT)}


class LastReadBinding(WebsocketBinding):
    model = LastRead
    stream = "reads"
    fields = ["room", "message"]

    @classmethod
    def group_names(cls, instance):
        return [reads_group(instance.user_id)]
