"""The channel layer over Redis (7 or newer) or Valkey (7.2 or newer): for any number of processes and machines."""

from ...exceptions import InvalidChannelLayerError

try:
    from .layer import RedisChannelLayer
    from .sentinel import RedisSentinelChannelLayer
except ModuleNotFoundError as error:
    if error.name not in ("redis", "hiredis", "ormsgpack"):
        raise
    raise InvalidChannelLayerError(
        f"The Redis channel layer needs the package {error.name}, which is not installed. Install what it needs: "
        "python -m pip install 'redis[hiredis]>=6.4' 'ormsgpack>=1.10' (and write both into requirements.txt)."
    ) from error

__all__ = ["RedisChannelLayer", "RedisSentinelChannelLayer"]
