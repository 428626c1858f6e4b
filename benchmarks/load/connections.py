"""WebSocket connections, and what all kinds of load share."""

import asyncio
import os
import time

from picows import WSListener, WSMsgType, ws_connect

from ..commandstats import read_commands, spent
from ..procstat import CpuWindow, cpu_seconds

_PAYLOAD_SIZE = 64
_HANDSHAKE_TIMEOUT = 20
now_ns = time.perf_counter_ns


class Plain:
    """The text is the message."""

    needs_hello = False

    @staticmethod
    def encode(text):
        return text


class SocketIO:
    """Just enough of engine.io 4 and socket.io 5: one event, "m", with one string."""

    needs_hello = True

    @staticmethod
    def encode(text):
        return b'42["m","' + text + b'"]'

    @staticmethod
    def control(client, data):
        """Answer a message of the protocol; return whether it was one."""
        if data.startswith(b"42"):
            return False
        if data.startswith(b"0"):
            client.transport.send(WSMsgType.TEXT, b"40")
        elif data.startswith(b"40"):
            client.ready.set_result(None)
        elif data == b"2":
            client.transport.send(WSMsgType.TEXT, b"3")
        return True


DIALECTS = {"plain": Plain, "socketio": SocketIO}


class Client(WSListener):
    """One socket."""

    def __init__(self, run):
        self.run = run
        self.dialect = run.dialect
        self.ready = asyncio.get_running_loop().create_future()
        self.transport = None
        self.open = False

    def on_ws_connected(self, transport):
        self.transport = transport
        self.open = True
        if not self.dialect.needs_hello:
            self.ready.set_result(None)

    def on_ws_disconnected(self, transport):
        if self.open:
            self.open = False
            self.run.dropped += not self.run.closing
        if not self.ready.done():
            self.ready.set_exception(ConnectionError("closed before it was ready"))

    def on_ws_frame(self, transport, frame):
        if frame.msg_type == WSMsgType.TEXT:
            data = frame.get_payload_as_bytes()
            if self.dialect.needs_hello and self.dialect.control(self, data):
                return
            prefix = self.run.prefix
            if data.startswith(prefix):
                self.on_text(data[len(prefix) :])
            else:
                self.run.wrong_answer = data
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()

    def send(self, data):
        if self.open:
            self.transport.send(WSMsgType.TEXT, data)

    def on_text(self, data):
        """Take a message."""


class Window:
    """What the server's processes and its Redis did between construction and ``stop()``."""

    def __init__(self, roles, redis_port):
        self._redis_port = redis_port
        self._commands = self._read()
        self._cpu = CpuWindow(roles, own_cpu)
        self._start = now_ns()

    def _read(self):
        return read_commands(self._redis_port) if self._redis_port else {}

    def stop(self):
        seconds = (now_ns() - self._start) / 1e9
        measured = {"seconds": seconds, **self._cpu.stop()}
        if self._redis_port:
            commands = spent(self._commands, self._read())
            measured["redis_calls"] = sum(calls for calls, _ in commands.values())
            measured["redis_us"] = sum(microseconds for _, microseconds in commands.values())
        return measured


def own_cpu():
    return cpu_seconds(os.getpid())


class Run:
    """Options, connections and counts of one run."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.dialect = DIALECTS[arguments.dialect]
        self.prefix = arguments.prefix.encode()
        self.wrong_answer = None
        self.clients = []
        self.latencies = []
        self.late = 0
        self.dropped = 0
        self.closing = False
        self._sequence = 0

    def message(self):
        """Return a new text as it goes into the frame."""
        self._sequence += 1
        return self.dialect.encode(b"%-16d" % self._sequence + b"x" * (_PAYLOAD_SIZE - 16))

    def window(self):
        """Begin to measure."""
        self.latencies, self.late = [], 0
        return Window(self.arguments.roles, self.arguments.redis_port)

    def redis_calls(self):
        """Return how many commands the Redis has executed, without these questions; 0 where there is none."""
        port = self.arguments.redis_port
        return sum(calls for calls, _ in spent({}, read_commands(port)).values()) if port else 0

    async def connect(self, client, url):
        """Open a socket and wait until it can be used."""
        await ws_connect(
            lambda: client,
            url,
            extra_headers=self.arguments.headers,
            websocket_handshake_timeout=_HANDSHAKE_TIMEOUT,
            max_redirects=0,
            read_buffer_init_size=2048,
        )
        await asyncio.wait_for(client.ready, _HANDSHAKE_TIMEOUT)
        self.clients.append(client)

    async def connect_all(self, clients_and_urls, concurrency=50):
        """Open all; raise if one fails."""
        gate = asyncio.Semaphore(concurrency)

        async def open_one(client, url):
            async with gate:
                await self.connect(client, url)

        await asyncio.gather(*(open_one(client, url) for client, url in clients_and_urls))

    async def close_all(self):
        """Close the sockets, a few at a time."""
        self.closing = True
        for number, client in enumerate(self.clients):
            if client.open:
                client.transport.send_close()
                client.transport.disconnect()
            if number % 50 == 49:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
