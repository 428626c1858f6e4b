import consumers

from channels import route

ECHO = r"^/(?P<variant>\w+)/echo/$"
ROOM = r"^/(?P<variant>\w+)/room/(?P<room>\w+)/$"

channel_routing = [
    route("websocket.connect", consumers.connect, path=ECHO),
    route("websocket.receive", consumers.echo_receive, path=ECHO),
    route("websocket.connect", consumers.connect, path=ROOM),
    route("websocket.receive", consumers.room_receive, path=ROOM),
    route("websocket.disconnect", consumers.room_disconnect, path=ROOM),
]
