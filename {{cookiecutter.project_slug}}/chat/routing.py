"""Which consumer gets which message of the chat."""

from channels import route

from . import consumers
from .room_list import RoomListSocket

# The three routes of a socket share one pattern, so that whatever connects is also heard and let go.
ROOM = r"^/(?P<slug>[^/]+)/$"

websocket_routing = [
    route("websocket.connect", consumers.connect, path=ROOM),
    route("websocket.receive", consumers.receive, path=ROOM),
    route("websocket.disconnect", consumers.disconnect, path=ROOM),
]

# A channel of our own: anything may send to it, and one worker saves each message. And the list of rooms, whose class
# knows the channels of a socket.
channel_routing = [
    route("chat-messages", consumers.save),
    RoomListSocket.as_route(path=r"^/$"),
]
