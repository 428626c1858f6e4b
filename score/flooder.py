"""A client in a process of its own that writes a frame each millisecond on each of its sockets."""

import asyncio
import contextlib
import multiprocessing

from .stalled import handshake, masked_frame

FRAME = masked_frame(b"x" * 64)
# Between two frames of a socket, in seconds.
INTERVAL = 0.001
_PROCESSES = multiprocessing.get_context("spawn")


@contextlib.contextmanager
def flooding(port, path, sockets):
    """Flood so many sockets in a ``with`` block; yields a list, in which the number of frames written is at its end."""
    pipe, other_end = _PROCESSES.Pipe()
    process = _PROCESSES.Process(target=_run, args=(port, path, sockets, other_end), daemon=True)
    process.start()
    other_end.close()
    # It says that it has begun.
    pipe.recv()
    written = []
    try:
        yield written
    finally:
        pipe.send("stop")
        written.append(pipe.recv())
        process.join()


def _run(port, path, sockets, pipe):
    asyncio.run(_flood(port, path, sockets, pipe))


async def _flood(port, path, count, pipe):
    floods = [_Flood(port, path) for _ in range(count)]
    tasks = [asyncio.create_task(flood.go_on()) for flood in floods]
    await asyncio.gather(*(flood.begun.wait() for flood in floods))
    pipe.send("begun")
    while not pipe.poll():
        await asyncio.sleep(0.01)
    for task in tasks:
        task.cancel()
    pipe.send(sum(flood.written for flood in floods))


class _Flood:
    """What is written to one socket, and to those that come after it when it is closed."""

    def __init__(self, port, path):
        self.begun = asyncio.Event()
        self.written = 0
        self._port = port
        self._path = path

    async def go_on(self):
        while True:
            with contextlib.suppress(OSError):
                _, socket = await asyncio.get_running_loop().create_connection(
                    lambda: _Socket(self._path), "127.0.0.1", self._port
                )
                if await socket.opened:
                    self.begun.set()
                    await self._write(socket)
            # One who floods comes back when turned away.
            await asyncio.sleep(0.01)

    async def _write(self, socket):
        loop = asyncio.get_running_loop()
        latest = loop.time()
        while not socket.is_closed:
            await asyncio.sleep(INTERVAL)
            due = round((loop.time() - latest) / INTERVAL)
            latest += due * INTERVAL
            # Never more than the server takes.
            if not socket.transport.get_write_buffer_size():
                socket.transport.write(FRAME * due)
                self.written += due


class _Socket(asyncio.Protocol):
    """One socket, which throws away what it gets. ``opened`` says at last whether the server has accepted it."""

    def __init__(self, path):
        self.opened = asyncio.get_running_loop().create_future()
        self.is_closed = False
        self._path = path

    def connection_made(self, transport):
        self.transport = transport
        transport.write(handshake(self._path))

    def data_received(self, data):
        if not self.opened.done():
            self.opened.set_result(b" 101 " in data.split(b"\r\n", 1)[0])

    def connection_lost(self, error):
        self.is_closed = True
        if not self.opened.done():
            self.opened.set_result(False)
