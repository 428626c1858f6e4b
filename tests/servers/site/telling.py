"""Consumers that answer a request, and a socket, with the message they got."""

import json

from channels import include, route
from channels.security.websockets import allowed_hosts_only

from .notes import note


def tell(message, **captures):
    """Answer with the message and what the route has found in its path, as JSON."""
    content = {key: value for key, value in message.items() if key not in ("reply_channel", "body_channel")}
    told = json.dumps({"message": content, **captures}, default=lambda data: data.decode("latin-1"))
    if message.channel.name == "http.request":
        message.reply_channel.send({"status": 200, "content": told.encode()})
    else:
        message.reply_channel.send({"text": told})


def write_down_the_end(message, behind):
    note(f"disconnect {message['path']} {message.get('root_path')} {behind}")


TOLD = ["http.request", "websocket.connect", "websocket.receive"]
channel_routing = [
    route("websocket.connect", allowed_hosts_only(tell), path=r"^/guarded/$"),
    include([route(TOLD, tell, path=r"^/(?P<behind>inner)$")], path=r"^/outer"),
    route(TOLD, tell, path=r"(?s)^(?P<behind>.*)$"),
    route("websocket.disconnect", write_down_the_end, path=r"^(?P<behind>/.*)$"),
]
