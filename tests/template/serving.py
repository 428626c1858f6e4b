"""Starts a site by typing commands into a shell, and asks it for pages."""

import contextlib
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Server:
    process: subprocess.Popen
    port: int
    log: Path

    def fetch(self, path, **headers):
        """Return the answer to a request, be it an error or a redirect; wait until the server listens."""
        opener = urllib.request.build_opener(NoRedirect, urllib.request.ProxyHandler({}))
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
        while True:
            try:
                return opener.open(request, timeout=30)
            except urllib.error.HTTPError as error:
                return error
            except urllib.error.URLError:
                assert self.process.poll() is None, self.log.read_text()
                time.sleep(0.05)


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments):
        return None


@contextlib.contextmanager
def serve(commands, folder, port, environment):
    """Run commands, the last of which serves on ``port``; expect it to stop when it is told to."""
    log = folder / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            ["bash", "-e", "-c", commands],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Server(process, port, log)
    finally:
        # First politely, after a failure too: what the commands have started may be in groups of its own.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(30)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
