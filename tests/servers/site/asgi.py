import os

from channels.asgi import get_channel_layer

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.servers.site.settings")

channel_layer = get_channel_layer(worker_threads=4)
