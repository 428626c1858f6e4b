"""Consumers as classes: one object for each message, with a method for each channel."""

from .base import BaseConsumer

__all__ = ["BaseConsumer"]
