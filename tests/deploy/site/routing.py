from channels import route

from . import consumers

ROOM = r"^/rooms/(?P<room>\w+)/$"

channel_routing = [
    route("websocket.connect", consumers.connect, path=ROOM),
    route("websocket.receive", consumers.receive, path=ROOM),
    route("websocket.disconnect", consumers.disconnect, path=ROOM),
    route("http.disconnect", consumers.left),
]
