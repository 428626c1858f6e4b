import os

from channels.asgi import get_channel_layer

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_code.settings")

channel_layer = get_channel_layer(worker_threads=int(os.environ.get("WORKER_THREADS", "0")))
