from channels import route

from .consumers import open_stream, shut_stream

stream_routing = [
    route("websocket.connect", open_stream, path=r"^/(?P<slug>[-\w]+)/$"),
    route("websocket.disconnect", shut_stream, path=r"^/(?P<slug>[-\w]+)/$"),
]
