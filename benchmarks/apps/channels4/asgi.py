import os

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

import consumers  # noqa: E402
from django.urls import path  # noqa: E402

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402

if os.environ["CONSUMER"] == "sync":
    echo, room = consumers.SyncEcho, consumers.SyncRoom
else:
    echo, room = consumers.AsyncEcho, consumers.AsyncRoom

application = ProtocolTypeRouter(
    {
        "http": django_application,
        "websocket": URLRouter([path("echo/", echo.as_asgi()), path("room/<str:room>/", room.as_asgi())]),
    }
)
