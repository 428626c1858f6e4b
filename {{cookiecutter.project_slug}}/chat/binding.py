"""
What the list of rooms is told: of each room that is opened, renamed, written in or removed, and of what its user reads.

A binding is told of its model wherever that is saved, as a signal is, and sends after the commit. ``room_list.py`` has
the sockets. Nothing may be changed by way of a binding, unless it has a ``has_permission`` that says so.
"""

from channels.binding.websockets import WebsocketBinding

from .models import LastRead, Room

# How much of the newest message a list shows.
LATEST_TEXT = 120

ROOM_LISTS = "room-lists"


def reads_group(user_pk):
    """Name the group of a user's own lists: what one has read is nobody else's business."""
    return f"reads-{user_pk}"


def described(room, latest):
    """Return a room as lists know it. ``latest``: number, text and time of its newest message, or None."""
    if latest:
        pk, text, created = latest
        text = text if len(text) <= LATEST_TEXT else f"{text[: LATEST_TEXT - 1]}…"
        latest = {"pk": pk, "text": text, "created": created.isoformat()}
    return {"name": room.name, "url": room.get_absolute_url(), "said": room.said, "latest": latest}


class RoomBinding(WebsocketBinding):
    model = Room
    stream = "rooms"
    fields = ["name", "said"]

    @classmethod
    def group_names(cls, instance):
        return [ROOM_LISTS]

    def serialize_data(self, instance):
        return described(instance, instance.messages.order_by("-pk").values_list("pk", "text", "created").first())


class LastReadBinding(WebsocketBinding):
    model = LastRead
    stream = "reads"
    fields = ["room", "said"]

    @classmethod
    def group_names(cls, instance):
        return [reads_group(instance.user_id)]
