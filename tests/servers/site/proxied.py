"""The layer behind the middleware of those servers that have no option for a proxy, as their manuals say."""

from granian.utils.proxies import wrap_asgi_with_proxy_headers
from hypercorn.middleware import ProxyFixMiddleware

from .asgi import channel_layer

hypercorn = ProxyFixMiddleware(channel_layer, mode="legacy", trusted_hops=1)
granian = wrap_asgi_with_proxy_headers(channel_layer, trusted_hosts="127.0.0.1")
