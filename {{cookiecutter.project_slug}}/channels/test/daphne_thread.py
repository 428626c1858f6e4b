"""
Daphne in a thread of the process that runs the tests.

There is one for the life of the process, since Twisted's reactor cannot be started a second time; each test has it
serve an application of its own.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
import threading
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")

# How long daphne has to begin, in seconds.
START_TIMEOUT = 10.0


class DaphneThread:
    """Serves ``application`` on hosts of this machine; without one it refuses whoever comes."""

    def __init__(self) -> None:
        self.application: Any = None
        self._ports: dict[str, int] = {}
        self._module: Any = None
        self._server: Any = None

    def listen(self, host: str) -> int:
        """Listen on a host, unless that is done already; return the port. Raises ``RuntimeError``."""
        if host not in self._ports:
            try:
                self._ports[host] = self._listen_as_well(host) if self._server else self._start(host)
            except Exception as error:
                raise RuntimeError(f"The live server cannot listen on {host!r}: {error}") from error
        return self._ports[host]

    def run(self, coroutine: Coroutine[Any, Any, Result], timeout: float) -> Result:
        """Run a coroutine in the thread; return what it returns. Raises ``TimeoutError``, and goes on without it."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._module.twisted_loop)
        try:
            return future.result(timeout)
        except TimeoutError:
            future.cancel()
            raise

    def _start(self, host: str) -> int:
        self._module = module = _fresh_daphne()
        if module.reactor.running:
            raise RuntimeError(
                "Twisted's reactor runs in this process already, so that no live server can be started in it. "
                "Run live server tests in a process of their own."
            )
        ready = threading.Event()
        server = module.Server(self._serve, [_endpoint(host)], signal_handlers=False, ready_callable=ready.set)
        thread = threading.Thread(target=server.run, name="daphne", daemon=True)
        thread.start()
        deadline = time.monotonic() + START_TIMEOUT
        while not ready.wait(0.01) and thread.is_alive() and time.monotonic() < deadline:
            pass
        if not server.listening_addresses:
            raise RuntimeError("expected a name or an address of this machine. Daphne's log has the reason.")
        self._server = server
        return int(server.listening_addresses[0][1])

    def _listen_as_well(self, host: str) -> int:
        return self.run(self._listen(host), START_TIMEOUT)

    async def _listen(self, host: str) -> int:
        endpoint = self._module.serverFromString(self._module.reactor, _endpoint(host))
        listening = endpoint.listen(self._server.http_factory)
        port = await listening.asFuture(self._module.twisted_loop)
        return int(port.getHost().port)

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        if self.application is not None:
            await self.application(scope, receive, send)
            return
        await receive()
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            await send({"type": "http.response.start", "status": 503, "headers": []})
            await send({"type": "http.response.body", "body": b"The test that this server was for has ended.\n"})


_running: DaphneThread | None = None
# Whether this process is the copy of another one; and what was loaded there.
_is_forked = False
_left_behind: list[Any] = []


def daphne_thread() -> DaphneThread:
    """Return that of this process."""
    global _running
    _running = _running or DaphneThread()
    return _running


def _note_fork() -> None:
    global _running, _is_forked
    _running, _is_forked = None, True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


def _fresh_daphne() -> Any:
    """
    Import daphne, with an event loop of this process.

    A loop that was made before a fork shares its selector with the other processes, as those of `test --parallel` do.
    """
    global _is_forked
    if _is_forked:
        _is_forked = False
        names = ("daphne.server", "twisted.internet.reactor")
        # Kept: what is collected is closed, for the other processes too.
        _left_behind.extend(sys.modules.pop(name, None) for name in names)
    return importlib.import_module("daphne.server")


def _endpoint(host: str) -> str:
    # Colons stand between the parts of such a description, and in addresses of IPv6.
    return "tcp:port=0:interface=" + host.replace(":", r"\:")
