"""
The interface server: an ASGI 3 application in front of a channel layer.

It holds connections and turns them into messages, and runs none of the site's code. Any ASGI server can serve
it; what daphne needs beyond the specification is in ``daphne``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from ..layers.base import BaseChannelLayer
from . import health
from .http import HttpExchange
from .http_connection import HttpConnection, ResponseAborted
from .limits import Limits
from .process import EmbeddedWorkers, InterfaceProcess
from .scope import BadTarget, joins_root_path, unify
from .servers import daphne
from .signals import watch_stop_signals
from .socket_connection import SocketConnection

logger = logging.getLogger(__name__)


def no_workers() -> None:
    """Start no workers beside the interface server."""


class InterfaceApplication:
    """
    Serves HTTP and WebSocket over a channel layer.

    ``start_workers`` is called once, when the first connection or the server's start-up comes; what it returns
    is stopped when the server stops, after the last consumer has been told of the end of its connection.
    ``script_name`` is the prefix of the site's paths, whatever the server says.
    """

    def __init__(
        self,
        layer: BaseChannelLayer,
        limits: Limits | None = None,
        start_workers: Callable[[], EmbeddedWorkers | None] = no_workers,
        script_name: str = "",
    ) -> None:
        self._layer = layer
        self._limits = limits or Limits()
        self._start_workers = start_workers
        self._script_name = script_name
        self._processes: dict[asyncio.AbstractEventLoop, InterfaceProcess] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one connection, or the server's start and stop."""
        kind = scope["type"]
        if kind == "lifespan":
            await self._live(receive, send)
            return
        if kind not in ("http", "websocket"):
            raise ValueError(f"This application serves HTTP and WebSocket, not {kind!r}.")
        joins = joins_root_path(receive)
        scope, receive, send = daphne.adapt(scope, receive, send)
        try:
            scope = unify(scope, self._script_name, self._limits.trust_root_path_header, joins)
        except BadTarget as error:
            logger.info("Refused: %s", error)
            await _refuse(scope, receive, send)
            return
        if health.is_asked_for(scope, self._limits):
            await health.answer(self.process(), scope, send)
            return
        if kind == "websocket":
            await SocketConnection(self.process(), scope, receive, send).run(scope)
            return
        try:
            await HttpConnection(self.process(), scope, receive, send).run()
        except ResponseAborted:
            if not daphne.cut_off(send):
                raise

    def process(self) -> InterfaceProcess:
        """Return what the connections of the running event loop share."""
        loop = asyncio.get_running_loop()
        process = self._processes.get(loop)
        if process is None:
            process = self._processes[loop] = InterfaceProcess(self._layer, self._limits, self._start_workers)
            watch_stop_signals(loop, lambda then: loop.call_soon_threadsafe(process.begin_stop, then))
            daphne.prepare(process)
        return process

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()
        try:
            process = self.process()
        except Exception as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            raise
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await process.stop()
        await send({"type": "lifespan.shutdown.complete"})


async def _refuse(scope: Any, receive: Any, send: Any) -> None:
    """Answer a request that has no target with status 400; a socket with 403, which all servers can."""
    await receive()
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1000})
        return
    exchange = HttpExchange(scope["path"], "", method=scope["method"])
    for event in exchange.answer(400, "The address of the request is not valid."):
        await send(event)
