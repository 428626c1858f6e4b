"""What an engine needs, and no middleware, sessions or database, like its peers."""

import os

from channels.layers import from_url

SECRET_KEY = "benchmark"
DEBUG = False
ALLOWED_HOSTS = ["*"]
# The clients are no browsers.
CHANNELS_ALLOWED_ORIGINS = ["*"]
INSTALLED_APPS = ["channels"]
MIDDLEWARE = []
ROOT_URLCONF = "urls"
USE_I18N = False
USE_TZ = False

CHANNEL_LAYERS = {"default": from_url(os.environ["CHANNEL_LAYER_URL"], routing="routing.channel_routing")}
