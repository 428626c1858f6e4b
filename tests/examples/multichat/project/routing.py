from channels import include

# One socket for all rooms; what comes over it goes on to a channel of its own, whose routes look at the command.
channel_routing = [
    include("chat.routing.websocket_routing", path=r"^/chat/socket"),
    include("chat.routing.command_routing"),
]
