"""Find the keys of a layer in a store."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .thread_connections import ThreadConnections

# As many keys are looked at in one step, so that the store gets to other work in between.
PAGE = 1000


def scan(connections: ThreadConnections, prefix: str, pattern: str) -> Iterator[list[bytes]]:
    """Return the keys with the layer's prefix that match, page by page; a key may come twice."""
    literal, cursor = re.sub(r"[\\*?\[\]]", r"\\\g<0>", prefix), b"0"
    while True:
        command = ("SCAN", cursor, "MATCH", f"{literal}{pattern}", "COUNT", PAGE)
        cursor, keys = connections.exchange([command])[0]
        if keys:
            yield keys
        if cursor == b"0":
            return


def pages(connections: ThreadConnections, prefix: str, pattern: str) -> Iterator[list[bytes]]:
    """Return the keys that match, each once and without the prefix; at least one page."""
    start = len(prefix.encode())
    keys = sorted({key[start:] for found in scan(connections, prefix, pattern) for key in found})
    for first in range(0, max(1, len(keys)), PAGE):
        yield keys[first : first + PAGE]
