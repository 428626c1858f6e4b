from channels import route

from .consumers import join, leave, say, ws_connect, ws_disconnect, ws_receive

websocket_routing = [
    route("websocket.connect", ws_connect),
    route("websocket.receive", ws_receive),
    route("websocket.disconnect", ws_disconnect),
]

command_routing = [
    route("chat.commands", join, command="^join$"),
    route("chat.commands", leave, command="^leave$"),
    route("chat.commands", say, command="^say$"),
]
