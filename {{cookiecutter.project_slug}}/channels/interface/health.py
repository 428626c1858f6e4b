"""
Answer load balancers: does this process serve, and should it get new clients?

It answers at once and by what it knows already, so nobody can burden workers or the store by asking.
"""

from __future__ import annotations

from typing import Any

from ..values.paths import behind
from .http import Header, HttpExchange
from .limits import Limits
from .process import InterfaceProcess
from .scope import Scope

_ALLOWED: Header = (b"allow", b"GET, HEAD")
_NOT_KEPT: Header = (b"cache-control", b"no-store")


def is_asked_for(scope: Scope, limits: Limits) -> bool:
    """Return whether a request is for one of the two answers."""
    path = _path(scope)
    return scope["type"] == "http" and bool(path) and path in (limits.live_path, limits.ready_path)


async def answer(process: InterfaceProcess, scope: Scope, send: Any) -> None:
    """Answer such a request."""
    exchange = HttpExchange(scope["path"], "", method=scope["method"])
    if scope["method"] not in ("GET", "HEAD"):
        events = exchange.answer(405, "Ask with GET or HEAD.", _ALLOWED)
    elif _path(scope) == process.limits.ready_path and (found := troubles(process)):
        events = exchange.answer(503, "\n".join(found), _NOT_KEPT)
    else:
        events = exchange.answer(200, "ok", _NOT_KEPT)
    for event in events:
        await send(event)


def troubles(process: InterfaceProcess) -> list[str]:
    """Return sentences that say why this process should get no new clients."""
    found = ["The server is stopping."] if process.stopping else []
    found += [process.replies.workers.trouble(channel) for channel in process.limits.ready_channels]
    return [sentence for sentence in dict.fromkeys(found) if sentence]


def _path(scope: Scope) -> str | None:
    return behind(scope["path"], scope["root_path"])
