"""Run the processes of one stack: start, wait until it answers, stop."""

import os
import random
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

from .environments import BUILD
from .stacks import PORTS

LOGS = BUILD / "logs"
START_TIMEOUT = 60
# Then SIGKILL, as container hosts do.
STOP_TIMEOUT = 10
_HELLO = b"Hello, world!"


class StackError(Exception):
    """A stack did not start, or did not live."""


class RunningStack:
    """The processes of a stack; a context manager."""

    def __init__(self, stack):
        self.stack = stack
        self.folder = LOGS / stack.name
        self.ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self.processes = []

    def __enter__(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        try:
            for process in self.stack.processes:
                self._start(process)
            if self.stack.hello:
                self._wait_until(self._answers, f"to answer {self.http_url}")
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exc_info):
        self.stop()

    @property
    def http_url(self):
        return f"http://127.0.0.1:{self.ports['port']}{self.stack.hello}"

    def ws_url(self, kind):
        """Return the URL of `echo`, or of `room` with its place for a name."""
        return f"ws://127.0.0.1:{self.ports['port']}{getattr(self.stack, kind)}"

    @property
    def redis_port(self):
        """The port of the stack's Redis; None without one."""
        return self.ports["redis_port"] if "redis" in self.stack.roles else None

    def roles(self):
        """Return the ids of the processes by their role."""
        roles = {}
        for role, process in self.processes:
            roles.setdefault(role, []).append(process.pid)
        return roles

    def stop(self):
        """End the processes, the last one first."""
        while self.processes:
            _, process = self.processes.pop()
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _start(self, process):
        path = self._log(process.role)
        path.parent.mkdir(parents=True, exist_ok=True)
        [folder] = self.expand([str(process.folder)])
        with path.open("ab") as log:
            started = subprocess.Popen(
                self.expand(process.command),
                cwd=folder,
                env=self.environment(process),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append((process.role, started))
        if process.ends:
            self._wait_until(lambda: started.poll() == 0, f"until {process.role} had ended")
            self.processes.pop()
        if process.listens:
            [port] = map(int, self.expand([process.listens]))
            self._wait_until(lambda: port_open(port), f"to listen on port {port}")

        if process.ready:
            ready = self.expand(process.ready)
            self._wait_until(
                lambda: subprocess.run(ready, cwd=process.folder).returncode == 0, f"until {process.role} was ready"
            )

    def expand(self, texts):
        """Return texts of the stack with its ports and folder in them."""
        for name, value in {**self.ports, "folder": self.folder}.items():
            texts = [text.replace(f"{{{name}}}", str(value)) for text in texts]
        return texts

    def environment(self, process):
        """Return the environment of a process."""
        return os.environ | dict(zip(process.variables, self.expand(process.variables.values()), strict=True))

    def _log(self, role):
        return self.folder / f"{role}.log"

    def _wait_until(self, condition, what):
        deadline = time.monotonic() + START_TIMEOUT
        while not condition():
            for role, process in self.processes:
                if process.poll() is not None:
                    last = self._log(role).read_text("utf-8", "replace").strip()[-300:]
                    raise StackError(f"{role} ended with {process.returncode}: {last}")
            if time.monotonic() > deadline:
                raise StackError(f"{self.stack.name} took longer than {START_TIMEOUT} s {what}")
            time.sleep(0.05)

    def _answers(self):
        """Tell whether a whole request works, which shows that the workers are there too."""
        try:
            with urllib.request.urlopen(self.http_url, timeout=5) as response:
                return response.read() == _HELLO
        except OSError:
            return False


def free_ports(count):
    """Return ports on which nothing listens, from a range that the system gives to no outgoing connection."""
    ports = set()
    while len(ports) < count:
        port = random.randrange(18000, 28000)
        if not port_open(port):
            ports.add(port)
    return sorted(ports)


def port_open(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
