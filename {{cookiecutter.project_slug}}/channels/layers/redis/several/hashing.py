"""Spread names over hosts by consistent hashing, so that a host more or less moves few of them."""

from __future__ import annotations

import bisect
import zlib

POINTS = 128


class Ring:
    """A ring of hosts, by their numbers from 0."""

    def __init__(self, hosts: int) -> None:
        points = sorted((_position(f"{host}:{point}"), host) for host in range(hosts) for point in range(POINTS))
        self._positions = [position for position, _ in points]
        self._hosts = [host for _, host in points]

    def host_of(self, name: str) -> int:
        """Return the host that a name belongs to: the next one on the ring."""
        return self._hosts[bisect.bisect(self._positions, _position(name)) % len(self._hosts)]


def _position(text: str) -> int:
    return zlib.crc32(text.encode())
