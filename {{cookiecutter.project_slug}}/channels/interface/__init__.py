"""Serve HTTP and WebSocket over a channel layer, as an ASGI 3 application."""
