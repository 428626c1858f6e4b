"""Layers of several stores, and which of them has a message."""

import secrets

from channels.layers.redis import RedisChannelLayer


def make_layer(hosts, **options):
    return RedisChannelLayer(hosts=hosts, **{"prefix": f"test-{secrets.token_hex(8)}:", **options})


def send_to(layer, number, content, channel="jobs"):
    """Send to an ordinary channel, on one of the hosts."""
    host = layer._hosts[number]
    layer._send_to(host, [layer.prepare(channel, content)])
