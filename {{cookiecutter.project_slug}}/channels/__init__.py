"""
channels-core: plain synchronous Django for real-time work.

The model of Channels 1: interface servers hold the connections, workers run consumers, and a channel layer
carries the messages between them.
"""

from .channel import Channel, Group
from .exceptions import ConsumeLater
from .registry import DEFAULT_CHANNEL_LAYER, channel_layers
from .routing import include, route, route_class

__version__ = "0.1.0"

__all__ = [
    "DEFAULT_CHANNEL_LAYER",
    "Channel",
    "ConsumeLater",
    "Group",
    "__version__",
    "channel_layers",
    "include",
    "route",
    "route_class",
]
