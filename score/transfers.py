"""Clients that send or read their bodies slowly: S-34."""

import contextlib
import http.client
import socket
import threading
import time

from tests.servers.processes import COMMANDS

# Of each kind there are so many clients.
CLIENTS = 50
# Pages that are asked for in a second.
PACE = 20
# Bytes that a slow client reads in a second, and sends.
READS, SENDS = 2048, 1
UPLOAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"
DOWNLOAD = b"GET /download/ HTTP/1.1\r\nHost: localhost\r\n\r\n"


class SlowClients:
    """Clients that send byte by byte, and others that read hardly faster. Senders that are cut off come back."""

    def __init__(self, port):
        self._port = port
        self._done = threading.Event()
        self._senders, self._readers = [None] * CLIENTS, []
        self._thread = threading.Thread(target=self._go_on, daemon=True)

    def __enter__(self):
        self._readers = [self._connect(DOWNLOAD) for _ in range(CLIENTS)]
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self._done.set()
        self._thread.join()
        for client in [*self._senders, *self._readers]:
            client.close()

    def _connect(self, request):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", self._port))
        client.sendall(request)
        client.setblocking(False)
        return client

    def _go_on(self):
        while not self._done.wait(1):
            for number, client in enumerate(self._senders):
                if client is None or not self._sends(client):
                    self._senders[number] = self._connect(UPLOAD)
            for client in self._readers:
                with contextlib.suppress(BlockingIOError):
                    client.recv(READS)

    def _sends(self, client):
        """Send a byte; return False if the server has answered, or closed the connection."""
        with contextlib.suppress(BlockingIOError):
            try:
                if client.recv(4096) is not None:
                    client.close()
                    return False
            except ConnectionError:
                return False
        with contextlib.suppress(BlockingIOError, ConnectionError):
            client.send(b"x" * SENDS)
        return True


def slow_clients(session):
    """Ask for a page while others send and read slowly, on each server."""
    seconds = session.size(30, 5)
    turns = {name: _turn(session, name, seconds) for name in COMMANDS}
    worst = {figure: max(turn[figure] for turn in turns.values()) for figure in next(iter(turns.values()))}
    return {**worst, "clients": CLIENTS, "servers": turns}


def _turn(session, name, seconds):
    with session.stage() as stage:
        server = stage.serve(name)
        stage.work("--threads", "4")
        plain = _ask(server.port, seconds)
        before = server.resident_size
        memory = disk = 0
        with SlowClients(server.port):
            begun = time.monotonic()
            server.wait_until(lambda: stage.notes.count("download made") == CLIENTS)
            made = time.monotonic() - begun
            slowly = []
            for _ in range(seconds):
                slowly += _ask(server.port, 1)
                memory = max(memory, server.resident_size - before)
                disk = max(disk, server.temporary_files)
        server.wait_until(lambda: not server.temporary_files)
    return {
        "delay_ms": _p99(slowly) - _p99(plain),
        "failed": seconds * PACE * 2 - len(plain) - len(slowly),
        "rise_mb": memory / 1e6,
        "disk_mb": disk / 1e6,
        "made_seconds": made,
    }


def _ask(port, seconds):
    """Ask for a page so many times a second; return how long each took, in milliseconds."""
    times = []
    for _ in range(seconds * PACE):
        begun = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/")
            if connection.getresponse().read() == b"Hello, world!":
                times.append(1000 * (time.monotonic() - begun))
        time.sleep(max(0.0, 1 / PACE - (time.monotonic() - begun)))
    return times


def _p99(times):
    return sorted(times)[int(0.99 * len(times))]
