"""Other programs that keep the machine busy, for rows that have to hold beside them too."""

import contextlib
import subprocess
import sys


@contextlib.contextmanager
def busy_loops(count):
    """Let so many processes do nothing as fast as they can, in a ``with`` block."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
