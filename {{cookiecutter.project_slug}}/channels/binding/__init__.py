"""Data binding: what becomes of the instances of a model is told to groups, and sockets may change them."""

from .base import Binding

__all__ = ["Binding"]
