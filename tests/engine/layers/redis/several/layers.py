"""Layers of several stores, and which of them has a message."""

import secrets

from channels.layers.redis import RedisChannelLayer


def make_layer(hosts, **options):
    return RedisChannelLayer(hosts=hosts, **{"prefix": f"test-{secrets.token_hex(8)}:", **options})


def send_to(layer, number, content, channel="jobs"):
    """Send to an ordinary channel, on one of the hosts."""
    layer._threads.hosts[number].send_many([layer.prepare(channel, content)])


def name_on(layer, number, pattern):
    """Return a name that lies on one of the hosts, from a pattern such as ``parts?{}``."""
    names = (pattern.format(attempt) for attempt in range(100))
    return next(name for name in names if layer._threads._spread.ring.host_of(name) == number)
