from channels import include

channel_routing = [
    include("blogs.routing.stream_routing", path=r"^/stream"),
]
