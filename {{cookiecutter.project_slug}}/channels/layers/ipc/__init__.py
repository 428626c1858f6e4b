"""The channel layer for several processes on one machine: no server, nothing to install but a package."""

import sys

from ...exceptions import InvalidChannelLayerError

if sys.platform == "win32":
    raise InvalidChannelLayerError(
        "The IPC channel layer needs the sockets and file locks of a POSIX system, which Windows does not have. "
        "Set CHANNEL_LAYER_URL to memory:// for one process, or to redis://… for several."
    )

try:
    from .layer import IPCChannelLayer
except ModuleNotFoundError as error:
    if error.name not in ("lmdb", "ormsgpack"):
        raise
    raise InvalidChannelLayerError(
        f"The IPC channel layer needs the package {error.name}, which is not installed. Install what it needs: "
        "python -m pip install 'lmdb>=2.3.1' 'ormsgpack>=1.10' (and write both into requirements.txt)."
    ) from error

__all__ = ["IPCChannelLayer"]
