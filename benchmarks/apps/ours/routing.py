import consumers

from channels import route

ECHO = r"^/echo/$"
ROOM = r"^/room/(?P<room>\w+)/$"

channel_routing = [
    route("websocket.connect", consumers.echo_connect, path=ECHO),
    route("websocket.receive", consumers.echo_receive, path=ECHO),
    route("websocket.connect", consumers.room_connect, path=ROOM),
    route("websocket.receive", consumers.room_receive, path=ROOM),
    route("websocket.disconnect", consumers.room_disconnect, path=ROOM),
]
