import os

from channels.asgi import get_channel_layer

from .pauses import watched

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_code.settings")

channel_layer = get_channel_layer(worker_threads=int(os.environ.get("WORKER_THREADS", "0")))
if "PAUSES" in os.environ:
    channel_layer = watched(channel_layer, os.environ["PAUSES"])
