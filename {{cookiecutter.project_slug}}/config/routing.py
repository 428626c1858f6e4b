"""
What the workers do: each message goes to the first route that fits.

Requests that fit no route here go to Django's views, see ``urls.py``; sockets that fit none are refused.
"""

from channels import include, route

channel_routing = [
    include("chat.routing.websocket_routing", path=r"^/rooms"),
    include("chat.routing.channel_routing"),
    include("accounts.routing.channel_routing"),
    route("http.request", "chat.consumers.live_txt", path=r"^/live\.txt$", method=r"^(?:GET|HEAD)$"),
    # The last one: without it, sockets at all other addresses would be accepted, from the pages of any site.
    route("websocket.connect", "chat.consumers.refuse"),
]
