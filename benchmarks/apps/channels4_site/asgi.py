from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

import consumers  # noqa: E402
from django.urls import path  # noqa: E402

from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.security.websocket import AllowedHostsOriginValidator  # noqa: E402

sockets = URLRouter(
    [
        path("connect/echo/", consumers.Echo.as_asgi()),
        path("connect/room/<str:room>/", consumers.Room.as_asgi()),
        path("fresh/echo/", consumers.FreshEcho.as_asgi()),
        path("fresh/room/<str:room>/", consumers.FreshRoom.as_asgi()),
    ]
)
application = ProtocolTypeRouter(
    {"http": django_application, "websocket": AllowedHostsOriginValidator(AuthMiddlewareStack(sockets))}
)
