"""The channel layer over Redis (7 or newer) or Valkey (7.2 or newer): for any number of processes and machines."""

from .layer import RedisChannelLayer
from .sentinel import RedisSentinelChannelLayer

__all__ = ["RedisChannelLayer", "RedisSentinelChannelLayer"]
