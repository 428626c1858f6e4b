"""
Thousands of sockets in one room that write down what they get.

Just enough of a client to be no measure of the server: it takes frames apart as they come, and answers pings.
"""

import asyncio

from .stalled import frames, handshake, masked_frame

_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10
# As many sockets are opened at a time.
OPENED_AT_ONCE = 40


class Member(asyncio.Protocol):
    """One socket. ``got`` are the numbers that have come, ``is_closed`` says whether the server has closed it."""

    def __init__(self, path):
        self.opened = asyncio.get_running_loop().create_future()
        self.got = []
        self.is_closed = False
        self._path = path
        self._data = bytearray()

    def connection_made(self, transport):
        self._transport = transport
        transport.write(handshake(self._path))

    def data_received(self, data):
        self._data += data
        if not self.opened.done():
            self._open()
        if self.opened.done():
            self._take_frames()

    def _open(self):
        end = self._data.find(b"\r\n\r\n")
        if end >= 0:
            status = bytes(self._data.split(b"\r\n", 1)[0])
            del self._data[: end + 4]
            if b" 101 " in status:
                self.opened.set_result(None)
            else:
                self.opened.set_exception(ConnectionError(f"refused: {status!r}"))

    def _take_frames(self):
        taken = 0
        for opcode, payload, end in frames(self._data):
            if opcode == _TEXT:
                self.got.append(int(payload))
            elif opcode == _PING:
                self._transport.write(masked_frame(payload, _PONG))
            elif opcode == _CLOSE:
                self.is_closed = True
            taken = end
        del self._data[:taken]

    def connection_lost(self, error):
        self.is_closed = True
        if not self.opened.done():
            self.opened.set_exception(ConnectionError("closed before it was open"))

    def leave(self):
        self._transport.abort()


async def gather(port, path, count):
    """Open sockets, a few at a time, and return them."""
    members = []
    for start in range(0, count, OPENED_AT_ONCE):
        members += await asyncio.gather(*(_join(port, path) for _ in range(start, min(start + OPENED_AT_ONCE, count))))
    return members


async def _join(port, path):
    _, member = await asyncio.get_running_loop().create_connection(lambda: Member(path), "127.0.0.1", port)
    await asyncio.wait_for(member.opened, 30)
    return member


async def hear(members, numbers, patience):
    """Wait until all members have got so many messages, or none has got one for ``patience`` seconds."""
    loop = asyncio.get_running_loop()
    heard, latest = 0, loop.time()
    while heard < numbers * len(members) and loop.time() - latest < patience:
        await asyncio.sleep(0.1)
        now_heard = sum(len(member.got) for member in members)
        if now_heard > heard:
            heard, latest = now_heard, loop.time()
