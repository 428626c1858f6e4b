from channels import route

from . import consumers, plain

ROOM = r"/(?P<room>\w+)/$"

channel_routing = [
    route("websocket.connect", consumers.connect, path=r"^/(?:rooms|failing|ordered)" + ROOM),
    route("websocket.receive", consumers.receive, path="^/rooms" + ROOM),
    route("websocket.receive", plain.echo_in_order_and_fail_once, path="^/failing" + ROOM),
    route("websocket.disconnect", consumers.disconnect, path=r"^/(?:rooms|failing|ordered)" + ROOM),
    route("websocket.connect", plain.connect, path=r"^/(?:plain|working|slow)" + ROOM),
    route("websocket.receive", plain.tell, path="^/plain" + ROOM),
    route("websocket.receive", plain.tell_after_work, path="^/working" + ROOM),
    route("websocket.receive", plain.tell_in_order_after_work, path="^/ordered" + ROOM),
    route("websocket.receive", plain.take_time, path="^/slow" + ROOM),
    route("websocket.receive", plain.answer_loudly, path="^/loud" + ROOM),
    # What is left of them: sockets that are accepted without a consumer, and return what they get.
    route("websocket.receive", plain.echo),
    route("websocket.disconnect", plain.write_down_the_end),
    route("http.disconnect", plain.ignore),
]
