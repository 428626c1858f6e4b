"""Imaginary browsers and interface servers: the engine's own interface server, in virtual time."""

from __future__ import annotations

import asyncio
import json
import math
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from ..interface.application import no_workers
from ..interface.limits import Limits
from ..interface.process import InterfaceProcess
from ..interface.scope import unify
from ..interface.socket_connection import SocketConnection
from ..layers.base import BaseChannelLayer
from .virtual_time import VirtualClock, VirtualLoop

Header = tuple[bytes, bytes]


class Server:
    """An interface server that does something when it is told to."""

    def __init__(self, name: str, layer: BaseChannelLayer, clock: VirtualClock, limits: Limits) -> None:
        self.name = name
        self.loop = VirtualLoop(clock)
        self._clock = clock
        self._layer = layer
        self._limits = limits
        self.process: InterfaceProcess
        self.is_over = False
        self.loop.call_soon(self._start)
        self.loop.run_until_idle()

    def _start(self) -> None:
        self.process = InterfaceProcess(self._layer, self._limits, no_workers)

    @property
    def has_work(self) -> bool:
        """Whether there is something to do now."""
        return self.loop.wakes_at <= self._clock.now

    @property
    def under_way(self) -> list[str]:
        """What its sockets wait for that workers have."""
        connections = [connection for _, connection in self.process.replies.connections()]
        messages = [message for each in connections for message in each.overdue(self._clock.now, -math.inf)]
        return [f"message {message.number} on {message.channel}" for message in messages]

    def hear_of_workers(self, channels: Iterable[str]) -> None:
        """Hear which channels workers read, which they say every few seconds."""
        self.process.replies.workers.broadcast({"reads": channels})

    def close(self) -> None:
        """End everything, without a word to anybody."""
        self.is_over = True
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_idle()
        self.loop.close()


class Socket:
    """
    The WebSocket of an imaginary browser.

    ``frames`` is what it has received so far, texts and bytes; ``close_code`` is None while it is connecting or open.
    What it sends arrives in its order, when the scheduler says so.
    """

    def __init__(self, name: str, server: Server, scope: dict[str, Any]) -> None:
        self.name = name
        self.is_open = False
        self.subprotocol: str | None = None
        self.close_code: int | None = None
        self.frames: list[str | bytes] = []
        self._looked = 0
        self._server = server
        self._scope = scope
        self._incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        # What the browser has sent, and the server has not received.
        self.sent: deque[dict[str, Any]] = deque([{"type": "websocket.connect"}])

    def send(self, data: str | bytes | dict[str, Any] | list[Any]) -> None:
        """Send a frame: text, bytes, or something that is sent as JSON."""
        if isinstance(data, bytes):
            self.sent.append({"type": "websocket.receive", "bytes": data})
        else:
            text = data if isinstance(data, str) else json.dumps(data)
            self.sent.append({"type": "websocket.receive", "text": text})

    def close(self, code: int = 1000) -> None:
        """Close the socket, when what was sent before has arrived. (1006: the browser vanishes.)"""
        self.sent.append({"type": "websocket.disconnect", "code": code})

    def received(self) -> list[str | bytes]:
        """Return the frames that have come since the last look."""
        new = self.frames[self._looked :]
        self._looked = len(self.frames)
        return new

    def received_json(self) -> list[Any]:
        """Return the frames that have come since the last look, read as JSON."""
        return [json.loads(frame) for frame in self.received()]

    @property
    def is_settled(self) -> bool:
        """Whether the server has answered it, and received what it has sent."""
        return (self.is_open and not self.sent) or self.close_code is not None

    @property
    def next(self) -> str:
        """What arrives next."""
        event = self.sent[0]
        kind = event["type"].removeprefix("websocket.")
        return {"connect": "connects", "disconnect": "leaves"}.get(kind, f"says {event.get('text', 'bytes'):.60}")

    def arrive(self) -> None:
        """Have the next thing that was sent arrive at the server."""
        event = self.sent.popleft()
        if event["type"] == "websocket.connect":
            self._server.loop.create_task(self._live())
        elif event["type"] == "websocket.disconnect":
            self._end(event["code"])
        self._incoming.put_nowait(event)

    async def _live(self) -> None:
        scope = unify(self._scope)
        await SocketConnection(self._server.process, scope, self._incoming.get, self._take).run(scope)

    async def _take(self, event: dict[str, Any]) -> None:
        if self._server.is_over:
            return
        if self.close_code is not None:
            raise OSError("The browser has gone.")
        kind = event["type"]
        if kind == "websocket.accept":
            self.is_open, self.subprotocol = True, event.get("subprotocol")
        elif kind == "websocket.send":
            text = event.get("text")
            self.frames.append(event["bytes"] if text is None else text)
        elif kind == "websocket.close":
            self._end(event["code"])
            self._incoming.put_nowait({"type": "websocket.disconnect", "code": event["code"]})

    def _end(self, code: int) -> None:
        self.sent.clear()
        if self.close_code is None:
            self.is_open, self.close_code = False, code


def scope_of(
    number: int, path: str, client: Any, headers: Iterable[Header], subprotocols: Sequence[str]
) -> dict[str, Any]:
    """Return the ASGI scope of a browser's socket. ``client`` is a test client of Django, whose cookies it has."""
    path, _, query = path.partition("?")
    own: dict[bytes, bytes] = {b"host": b"testserver", b"origin": b"http://testserver"}
    if client is not None and client.cookies:
        own[b"cookie"] = client.cookies.output(header="", sep=";").strip().encode()
    return {
        "type": "websocket",
        "path": path,
        "query_string": query.encode(),
        "headers": list({**own, **dict(headers)}.items()),
        "subprotocols": list(subprotocols),
        # By the port its messages are known as those of this socket.
        "client": ["127.0.0.1", number],
        "server": ["testserver", 80],
    }
