"""A TCP proxy that fails on demand: between the code under test and its server it delays, halts, cuts and resets."""

import asyncio
import contextlib
import random
import socket
import struct
import threading


class ChaosProxy:
    """
    Forwards connections to ``target``, a pair of address and port that may be changed for connections to come.

    It runs in a thread of its own, for the length of a ``with`` block. ``delay`` is a number of seconds that everything
    needs on its way to the server. What the methods do has been done when they return.
    """

    host = "127.0.0.1"

    def __init__(self, target):
        self.target = target
        self.delay = 0.0
        self._links = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        self._server = self._do(asyncio.start_server(self._serve, self.host, 0))
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *exception):
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def address(self):
        return self.host, self.port

    def halt(self):
        """Forward nothing more over the connections of now, and say nothing of it. New ones work."""
        self._do(self._on_links(_Link.halt))

    def reset(self):
        """Break all connections of now."""
        self._do(self._on_links(_Link.reset))

    def reset_one(self):
        """Break one of the connections of now."""
        self._do(self._on_links(_Link.reset, 1))

    def cut(self):
        """Close all connections of now, as a server does that ends."""
        self._do(self._on_links(_Link.cut))

    def _do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _on_links(self, action, count=None):
        links = sorted(self._links, key=id)
        for link in links if count is None else random.sample(links, min(count, len(links))):
            action(link)

    async def _serve(self, *client):
        try:
            server = await asyncio.open_connection(*self.target)
        except OSError:
            client[1].close()
            return
        link = _Link(self, client, server)
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)

    async def _end(self):
        self._server.close()
        self.delay = 0.0
        await self._on_links(_Link.reset)
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})


class _Link:
    """One connection through the proxy."""

    def __init__(self, proxy, client, server):
        self._proxy = proxy
        self._client = client
        self._server = server
        self._halted = False
        self._broken = asyncio.Event()

    async def run(self):
        await asyncio.gather(
            self._pump(self._client[0], self._server[1], delayed=True),
            self._pump(self._server[0], self._client[1], delayed=False),
        )

    def halt(self):
        self._halted = True

    def reset(self):
        self._broken.set()
        for _, writer in (self._client, self._server):
            # To linger for no time makes of the close a reset.
            with contextlib.suppress(OSError):
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()

    def cut(self):
        for _, writer in (self._client, self._server):
            writer.close()

    async def _pump(self, reader, writer, delayed):
        with contextlib.suppress(OSError):
            while part := await reader.read(2**16):
                if delayed and self._proxy.delay:
                    await asyncio.sleep(self._proxy.delay)
                if self._halted:
                    break
                writer.write(part)
                await writer.drain()
        if self._halted:
            # Neither side hears of the other's end.
            await self._broken.wait()
        writer.close()
