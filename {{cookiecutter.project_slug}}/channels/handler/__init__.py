"""Django's views behind a channel layer."""

from .handler import AsgiHandler, AsgiRequest, ViewConsumer, view_consumer

__all__ = ["AsgiHandler", "AsgiRequest", "ViewConsumer", "view_consumer"]
