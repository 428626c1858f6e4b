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

LOGS = BUILD / "logs"
START_TIMEOUT = 30
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
        self.port, self.redis_port, self.database_port = free_ports(3)
        self.processes = []

    def __enter__(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        try:
            for process in self.stack.processes:
                self._start(process)
            self._wait_until(lambda: port_open(self.port), f"to listen on port {self.port}")
            if self.stack.hello:
                self._wait_until(self._answers, f"to answer {self.http_url}")
            else:
                time.sleep(1)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exc_info):
        self.stop()

    @property
    def http_url(self):
        return f"http://127.0.0.1:{self.port}{self.stack.hello}"

    def ws_url(self, kind):
        """Return the URL of `echo`, or of `room` with its place for a name."""
        return f"ws://127.0.0.1:{self.port}{getattr(self.stack, kind)}"

    @property
    def has_redis(self):
        return any(role == "redis" for role, _ in self.processes)

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
        with path.open("ab") as log:
            started = subprocess.Popen(
                [self._expand(part) for part in process.command],
                cwd=process.folder,
                env=os.environ | {name: self._expand(value) for name, value in process.variables.items()},
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
            port = int(self._expand(process.listens))
            self._wait_until(lambda: port_open(port), f"to listen on port {port}")

        if process.ready:
            ready = [self._expand(part) for part in process.ready]
            self._wait_until(
                lambda: subprocess.run(ready, cwd=process.folder).returncode == 0, f"until {process.role} was ready"
            )

    def _expand(self, text):
        values = {
            "{port}": self.port,
            "{redis_port}": self.redis_port,
            "{database_port}": self.database_port,
            "{folder}": self.folder,
        }
        for name, value in values.items():
            text = text.replace(name, str(value))
        return text

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
