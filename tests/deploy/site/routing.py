from channels import route

from . import consumers

ROOM = r"^/rooms/(?P<room>\w+)/$"
# The same without channel sessions, for what is to be quick.
UNORDERED = r"^/unordered/(?P<room>\w+)/$"

channel_routing = [
    route("websocket.connect", consumers.connect, path=ROOM),
    route("websocket.receive", consumers.receive, path=ROOM),
    route("websocket.disconnect", consumers.disconnect, path=ROOM),
    route("websocket.connect", consumers.connect_unordered, path=UNORDERED),
    route("websocket.receive", consumers.receive_unordered, path=UNORDERED),
    route("http.request", consumers.hold, path=r"^/hold/$"),
    route("http.disconnect", consumers.left),
]
