"""
The sockets of the list of rooms, class-based: compare ``consumers.py``, where a socket is three functions.

One socket carries four streams. A frame is ``{"stream": …, "payload": …}``, from either side. Those of ``binding.py``
come from the server, with ``{"action": "create" | "update" | "delete", "pk": 3, "data": {...}}``:

    rooms     {"name": "Hall", "get_absolute_url": "/rooms/hall/"}
    messages  {"room": 3, "author": 7, "text": "Hello", "created": "<ISO 8601>"}     the text is shortened
    reads     {"room": 3, "message": 81}                    the user has read the room up to this message

The browser asks for a page as it is now, and who the socket is signed in as:

    sync      {"page": 1}
              {"page": 1, "user": 7, "rooms": [{"pk": 3, "name": "Hall", "url": "/rooms/hall/", "unread": 2,
                                                "latest": {"pk": 81, "text": "Hello", "created": "<ISO 8601>"}}]}

``unread`` counts up to and with the latest message; the page counts on by itself. 100 stands for that many or more.
"""

from django.core.paginator import Paginator
from django.template.defaultfilters import truncatechars

from channels.exceptions import FrameRefused
from channels.generic.websockets import JsonWebsocketConsumer, WebsocketDemultiplexer

from .binding import LATEST_TEXT, ROOM_LISTS, LastReadBinding, MessageBinding, RoomBinding, reads_group
from .broadcast import user_group
from .consumers import POLICY_VIOLATION, take_token
from .models import Room

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
        listed = Room.objects.listed(rooms, self.message.user)
        self.send({"page": page, "user": self.message.user.pk, "rooms": [described(room) for room in listed]})


def described(room):
    """Return what a list shows of a room."""
    text = truncatechars(room.latest_text, LATEST_TEXT)
    latest = {"pk": room.latest_pk, "text": text, "created": room.latest_created} if room.latest_pk else None
    url = room.get_absolute_url()
    return {"pk": room.pk, "name": room.name, "url": url, "unread": room.unread, "latest": latest}


class RoomListSocket(WebsocketDemultiplexer):
    """Lets anyone look at the list; who is signed in is told of his own reading as well."""

    http_user = True
    consumers = {
        "rooms": RoomBinding.consumer,
        "messages": MessageBinding.consumer,
        "reads": LastReadBinding.consumer,
        "sync": Sync,
    }

    def connection_groups(self, **kwargs):
        user = self.message.user
        own = [reads_group(user.pk), user_group(user.pk)] if user.is_authenticated else []
        return [ROOM_LISTS, *own]

    def raw_receive(self, message, **kwargs):
        if take_token(message):
            super().raw_receive(message, **kwargs)
        else:
            self.close(POLICY_VIOLATION)
