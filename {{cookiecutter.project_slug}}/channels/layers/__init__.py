"""Channel layers, and the URLs that name them."""

from .url import from_url

__all__ = ["from_url"]
