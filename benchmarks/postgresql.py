"""
A PostgreSQL server of one's own, empty, in a temporary folder.

    python -m benchmarks.postgresql PORT
    python -m benchmarks.postgresql PORT --accepts

The first one runs it until SIGTERM; the second one ends with 0 as soon as it accepts connections, else with another
status at once.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .environments import MissingProgram

USER = DATABASE = "postgres"


def program(name):
    """Return the path of one of the server's programs. Raises ``MissingProgram``."""
    if found := shutil.which(name):
        return found
    # Debian keeps most of them off the path, one folder for each version.
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise MissingProgram("PostgreSQL is not installed. On Debian or Ubuntu: apt-get install postgresql")
    return found[-1]


@contextlib.contextmanager
def serving(port, *settings):
    """Run a server on a port, with settings of its configuration, and yield its process when it accepts connections."""
    # PostgreSQL refuses to run for root, who runs it for the user its package made.
    owner = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory(prefix="postgresql-") as folder:
        if owner:
            shutil.chown(folder, "postgres", "postgres")
        data = f"{folder}/data"
        quiet = {"cwd": folder, "stdout": subprocess.DEVNULL, **owner}
        create = ["--no-sync", "--auth=trust", f"--username={USER}", "--encoding=UTF8", "-D", data]
        subprocess.run([program("initdb"), *create], check=True, **quiet)
        settings = ["listen_addresses=127.0.0.1", f"unix_socket_directories={folder}", *settings]
        options = [argument for setting in settings for argument in ("-c", setting)]
        server = subprocess.Popen([program("postgres"), "-D", data, "-p", str(port), *options], **quiet)
        try:
            while not accepts(port):
                if server.poll() is not None:
                    raise RuntimeError(f"PostgreSQL has ended with {server.returncode} at its start.")
                time.sleep(0.05)
            yield server
        finally:
            # A fast shutdown: a polite one waits for every client to leave.
            server.send_signal(signal.SIGINT)
            server.wait(30)


def accepts(port):
    """Tell whether a server accepts connections on a port. One that has just started listens, and does not yet."""
    command = [program("pg_isready"), "--quiet", "--host=127.0.0.1", f"--port={port}", f"--username={USER}"]
    return subprocess.run(command).returncode == 0


def main(port, *options):
    if "--accepts" in options:
        sys.exit(not accepts(port))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with serving(port) as server:
        sys.exit(server.wait())


if __name__ == "__main__":
    main(*sys.argv[1:])
