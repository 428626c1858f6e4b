"""The site on this engine, everything else as it is by default."""

import os

from site_settings import *  # noqa: F403

from channels.layers import from_url

CHANNEL_LAYERS = {"default": from_url(os.environ["CHANNEL_LAYER_URL"], routing="routing.channel_routing")}
