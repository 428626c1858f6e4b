from teams.bindings import Streams

from channels import route_class

channel_routing = [
    route_class(Streams, path=r"^/scores/$"),
]
