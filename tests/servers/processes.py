"""Real servers in processes of their own, each with its notes and its log."""

import contextlib
import http.client
import json
import logging
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from ..baking import FOLDER, REPOSITORY, clean_environment
from ..services import free_port

logger = logging.getLogger(__name__)
# pytest shows it of a test that fails; elsewhere nobody sees it.
logger.setLevel(logging.INFO)

# As their manuals say; each serves the site in tests/servers/site.
APPLICATION = "tests.servers.site.asgi:channel_layer"
COMMANDS = {
    "daphne": ["daphne", "-b", "127.0.0.1", "-p", "{port}", APPLICATION],
    "uvicorn": ["uvicorn", "--host", "127.0.0.1", "--port", "{port}", APPLICATION],
    "hypercorn": ["hypercorn", "--bind", "127.0.0.1:{port}", APPLICATION],
    "granian": ["granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", "{port}", APPLICATION],
}
PATIENCE = 30.0
# Characters of a log.
_SHOWN = 20_000
# The request for a WebSocket with a path.
HANDSHAKE = (
    b"GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class ServerProcess:
    """A command that serves on a port; it is told to stop, and if need be killed, at the end of a ``with`` block."""

    def __init__(self, command, folder, cwd=REPOSITORY, **environment):
        self.port = free_port()
        self.command = [part.format(port=self.port) for part in command]
        self.cwd = cwd
        self.log_file = folder / "server.log"
        self.notes_file = folder / "notes"
        self.notes_file.touch()
        self.environment = (
            clean_environment()
            | {"PYTHONPATH": str(REPOSITORY / FOLDER), "PYTHONUNBUFFERED": "1"}
            | {"SECRET_KEY": "x" * 50, "NOTES": str(self.notes_file)}
            | environment
        )

    def __enter__(self):
        with self.log_file.open("w") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.cwd,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.wait_until(self.listens)
        return self

    def __exit__(self, *exception):
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(PATIENCE)
        with contextlib.suppress(ProcessLookupError):
            # What is left of its children, if it did not end as it should.
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        logger.info("%s said at the end:\n%s", self.command, self.log[-_SHOWN:])

    def listens(self):
        assert self.process.poll() is None, self.log
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=5):
            return True
        return False

    def stop(self):
        """Tell the server to stop; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    @property
    def log(self):
        return self.log_file.read_text(errors="replace")

    @property
    def notes(self):
        return self.notes_file.read_text().splitlines()

    def wait_until(self, condition, *arguments):
        """Ask until a condition is true, for a bounded time."""
        deadline = time.monotonic() + PATIENCE
        while not (result := condition(*arguments)):
            assert time.monotonic() < deadline, f"Waited in vain. The server's log:\n{self.log}"
            time.sleep(0.02)
        return result

    @property
    def resident_size(self):
        """The memory that the server and its child processes hold, in bytes."""
        lines = subprocess.check_output(["ps", "-axo", "pgid=,rss="], text=True).splitlines()
        return sum(int(rss) for pgid, rss in map(str.split, lines) if int(pgid) == self.process.pid) * 1024

    @property
    def temporary_files(self):
        """The bytes in files without a name that the server and its child processes hold."""
        lines = subprocess.check_output(["ps", "-axo", "pgid=,pid="], text=True).splitlines()
        size = 0
        for pgid, pid in (map(int, line.split()) for line in lines):
            if pgid == self.process.pid:
                for file in Path(f"/proc/{pid}/fd").iterdir():
                    with contextlib.suppress(OSError):
                        size += os.stat(file).st_size if os.readlink(file).endswith(" (deleted)") else 0
        return size

    def count_disconnects(self, path):
        return sum(note.startswith(f"disconnect {path} ") for note in self.notes)

    def wait_for_note(self, line, number=1):
        self.wait_until(lambda: self.notes.count(line) >= number)

    # Clients

    def fetch(self, path, body=None, headers=()):
        """Return the status and the content of a page."""
        connection, response = self.begin(path, body, headers)
        with contextlib.closing(connection):
            return response.status, response.read()

    def begin(self, path, body=None, headers=()):
        """Send a request; return the connection and the beginning of the response."""
        connection = self.get_ready(path, body, headers)
        return connection, connection.getresponse()

    def get_ready(self, path, body=None, headers=()):
        """Send a request; return the connection, on which the response will come."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request("GET" if body is None else "POST", path, body, dict(headers))
        return connection

    def open_socket(self, path, **options):
        options = {"open_timeout": PATIENCE, "proxy": None, "compression": None} | options
        return connect(f"ws://127.0.0.1:{self.port}{path}", **options)

    def raw(self, data, then=b"", wait=True):
        """
        Send bytes as they are, and return what comes back until the server closes the connection.

        ``then`` is sent after the head of the first response; without ``wait`` the client leaves at once.
        """
        received = b""
        with (
            contextlib.suppress(ConnectionError),
            socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as client,
        ):
            client.sendall(data)
            if then:
                while b"\r\n\r\n" not in received:
                    received += client.recv(2**16)
                client.sendall(then)
            while wait and (part := client.recv(2**16)):
                received += part
        return received


def until_closed(websocket):
    """Read until the server closes a socket; return the frames and the code of the close frame, None without one."""
    frames = []
    while True:
        try:
            frames.append(websocket.recv(timeout=PATIENCE))
        except ConnectionClosed as closed:
            return frames, closed.rcvd and closed.rcvd.code


def serve_site(server, folder, **limits):
    """Make a process of one of the servers with the site."""
    return ServerProcess(COMMANDS[server], folder, LIMITS=json.dumps(limits))
