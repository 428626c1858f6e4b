from channels import route

from . import consumers

channel_routing = [
    route("http.request", consumers.open_event_stream, path=r"^/events/$"),
    route("http.disconnect", consumers.write_down_the_leaving),
    route("websocket.connect", consumers.reject, path=r"^/rejected/$"),
    route("websocket.connect", consumers.accept_slowly, path=r"^/slow/$"),
    route("websocket.connect", consumers.say_nothing, path=r"^/silent/$"),
    route("websocket.connect", consumers.join, path=r"^/room/$"),
    route("websocket.connect", consumers.join_late, path=r"^/late/$"),
    route("websocket.connect", consumers.join_thinkers, path=r"^/thinking/$"),
    route("websocket.connect", consumers.accept),
    route("websocket.receive", consumers.tell_all, path=r"^/room/$"),
    route("websocket.receive", consumers.close_with_code, path=r"^/closing/$"),
    route("websocket.receive", consumers.think, path=r"^/thinking/$"),
    route("websocket.receive", consumers.count_members, path=r"^/members/$"),
    route("websocket.receive", consumers.take_time, path=r"^/busy/$"),
    route("websocket.receive", consumers.make_mistakes, path=r"^/mistakes/$"),
    route("websocket.receive", consumers.echo),
    route("websocket.disconnect", consumers.write_down_the_end),
]
