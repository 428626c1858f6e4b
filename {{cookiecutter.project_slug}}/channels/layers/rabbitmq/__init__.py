"""The channel layer over RabbitMQ (3.10 or newer, 4.x): for clusters that have a broker already."""

from ...exceptions import InvalidChannelLayerError

try:
    from .layer import RabbitmqChannelLayer
except ModuleNotFoundError as error:
    if error.name not in ("pika", "ormsgpack"):
        raise
    raise InvalidChannelLayerError(
        f"The RabbitMQ channel layer needs the package {error.name}, which is not installed. Install what it needs: "
        "python -m pip install 'pika>=1.4.4' 'ormsgpack>=1.10' (and write both into requirements.txt)."
    ) from error

__all__ = ["RabbitmqChannelLayer"]
