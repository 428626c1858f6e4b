"""
The sockets of the list of rooms, class-based: compare ``consumers.py``, where a socket is three functions.

One socket carries three streams. A frame is ``{"stream": …, "payload": …}``, from either side.

    rooms   {"action": "create" | "update" | "delete", "pk": 3, "data": {...}}       from the server: a room, see
                                                                                   ``described`` in ``binding.py``
    reads   {"action": …, "pk": 5, "data": {"room": 3, "said": 17}}                from the server: how far the user
                                                                                   has read in a room
    sync    {"page": 1}                                                            from the browser
            {"page": 1, "rooms": [{"pk": 3, "data": {...}}], "reads": {"3": 17}, "user": "anna"}
                                                                                   the answer: the page as it is now,
                                                                                   and who the socket is signed in as

The number of unread messages of a room is what its ``said`` is above that of the read, or all of ``said`` without one.
"""

from django.core.paginator import Paginator

from channels.exceptions import FrameRefused
from channels.generic.websockets import JsonWebsocketConsumer, WebsocketDemultiplexer

from .binding import ROOM_LISTS, LastReadBinding, RoomBinding, described, reads_group
from .broadcast import user_group
from .consumers import POLICY_VIOLATION, take_token
from .models import LastRead, Room

# A page of the list holds this many rooms.
PAGE_ROOMS = 50


class Sync(JsonWebsocketConsumer):
    """Answers with a page of the list: after connecting, and now and then, for a frame may be lost."""

    channel_session_user = True

    def receive(self, content, **kwargs):
        page = content.get("page")
        if type(page) is not int or not 1 <= page < 2**31:
            raise FrameRefused("malformed", "A sync asks for a page by its number.")
        # Beyond the last page there is that.
        rooms = Paginator(Room.objects.newest_first(), PAGE_ROOMS).get_page(page).object_list
        pks, user = [room.pk for room in rooms], self.message.user
        reads = LastRead.objects.filter(user=user, room__in=pks) if user.is_authenticated else []
        self.send(
            {
                "page": page,
                "rooms": [{"pk": room.pk, "data": described(room, latest_of(room))} for room in rooms],
                "reads": {read.room_id: read.said for read in reads},
                "user": user.get_username() or None,
            }
        )


def latest_of(room):
    """Return what ``newest_first`` has found of a room's newest message."""
    return (room.latest_pk, room.latest_text, room.latest_created) if room.latest_pk else None


class RoomListSocket(WebsocketDemultiplexer):
    """Lets anyone look at the list; who is signed in is told of his own reading as well."""

    http_user = True
    consumers = {"rooms": RoomBinding.consumer, "reads": LastReadBinding.consumer, "sync": Sync}

    def connection_groups(self, **kwargs):
        user = self.message.user
        own = [reads_group(user.pk), user_group(user.pk)] if user.is_authenticated else []
        return [ROOM_LISTS, *own]

    def raw_receive(self, message, **kwargs):
        if take_token(message):
            super().raw_receive(message, **kwargs)
        else:
            self.close(POLICY_VIOLATION)
