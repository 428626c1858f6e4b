"""
What an interface server serves: `daphne config.asgi:channel_layer`.

The channel layer is an ASGI application. It hands requests and sockets on as messages, so
nothing of the site but its settings is loaded here; the site's code runs in workers.
"""

import os
from logging.config import dictConfig

from django.conf import settings

from channels.asgi import get_channel_layer

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

# Elsewhere Django does this when it starts; an interface server never starts Django.
dictConfig(settings.LOGGING)

channel_layer = get_channel_layer(worker_threads=settings.WORKER_THREADS)
application = channel_layer
