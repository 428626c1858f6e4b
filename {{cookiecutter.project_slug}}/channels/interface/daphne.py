"""
Make up for what daphne leaves to the application. Under other servers nothing here has an effect.

- daphne knows no lifespan, so it would end before the consumers have been told of the end of the sockets:
  Twisted's shutdown is made to wait for that.
- It never sends empty frames, and closes sockets only with the codes that applications may use, which 1012
  and 1013 are not: both are sent by its WebSocket protocol directly.
- When an application raises in the middle of a response, so that it may be cut off, daphne tries to begin
  another one, and its housekeeping dies of that: the connection is closed here.
- Any client can set the root path by the header ``Daphne-Root-Path``, and with it every link of a page: the
  root path is the one the server was started with.
"""

from __future__ import annotations

import asyncio
import functools
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .process import InterfaceProcess


def adapt(scope: Any, send: Any) -> tuple[Any, Any]:
    """Return the scope and the ``send`` of a connection, mended if it is one of daphne's."""
    protocol = _protocol_behind(send)
    if protocol is None:
        return scope, send
    scope = {**scope, "root_path": protocol.server.root_path}
    return scope, functools.partial(_send, send, protocol) if scope["type"] == "websocket" else send


def cut_off(send: Any) -> bool:
    """Close the connection of a response that has begun and cannot be completed, if it is one of daphne's."""
    request = _protocol_behind(send)
    if request is None:
        return False
    if request.channel is not None:
        # HTTP/2 has a way to abort one of its streams; in HTTP/1 a response ends with its connection.
        (getattr(request.channel, "abortConnection", None) or request.channel.loseConnection)()
    return True


def stop_with(process: InterfaceProcess) -> None:
    """Let Twisted's shutdown wait until the process has stopped, if it is daphne's event loop that runs."""
    module = sys.modules.get("daphne.server")
    if module is None or asyncio.get_running_loop() is not module.twisted_loop:
        return
    from twisted.internet import defer, reactor

    def wait() -> Any:
        return defer.Deferred.fromFuture(asyncio.ensure_future(process.stop()))

    add_trigger: Any = reactor.addSystemEventTrigger
    add_trigger("before", "shutdown", wait)


async def _send(send: Any, protocol: Any, event: Any) -> None:
    if protocol.state == protocol.STATE_OPEN:
        if event["type"] == "websocket.close" and not _may_be_passed(event.get("code", 1000)):
            protocol.sendCloseFrame(event["code"])
            return
        if event["type"] == "websocket.send" and not event.get("text") and not event.get("bytes"):
            protocol.sendMessage(b"", event.get("text") is None)
            return
    await send(event)


def _may_be_passed(code: int) -> bool:
    return code == 1000 or 3000 <= code <= 4999


def _protocol_behind(send: Any) -> Any:
    """Return daphne's protocol object: its ``send`` is a partial of ``Server.handle_reply`` over it. None elsewhere."""
    module = sys.modules.get("daphne.server")
    if module is None or not isinstance(send, functools.partial):
        return None
    server = getattr(send.func, "__self__", None)
    return send.args[0] if isinstance(server, module.Server) else None
