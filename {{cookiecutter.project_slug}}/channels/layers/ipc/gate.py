"""
The gate of a map: processes visit it one by one, and one that is stopped inside (Ctrl+Z, ``SIGSTOP``) keeps nobody out.

LMDB's own lock tells nobody who holds it. So there is another one before it, on a file: the kernel says which process
has it, and takes it from one that is killed. Whoever waits for longer than a moment looks whether that process is
stopped. If so, it is sent on, leaves, and is stopped again by the next one inside, while it cannot be there itself.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

from ...exceptions import ChannelLayerUnavailable

# A visit takes a fraction of a millisecond. Who is found stopped is looked at once more after so many seconds: somebody
# may be stopping several processes just now, or sending them on.
_PATIENCE = 0.1
# Who was sent on longer ago, in seconds, is not stopped again: others may have sent it on meanwhile.
_RECENTLY = 1.0
# What ``fcntl`` calls a lock: type, whence, start, length and process; in another order on systems that come from BSD.
_LOCK = struct.Struct("hhqqi4x" if sys.platform == "linux" else "qqihh8x")
# macOS has none; there, ``ps`` tells.
_HAS_PROC = Path("/proc/self/stat").exists()


class _Process(NamedTuple):
    """A process that is known again: numbers are used again, at another time."""

    number: int
    started: str


class Gate:
    """The gate of one map, for this process; ``file`` is the descriptor of the lock's file."""

    def __init__(self, file: int) -> None:
        self._file = file
        # Which wait is going on; 0 for none.
        self._wait = 0
        self._numbers = itertools.count(1)
        # Tells the watcher that a wait has begun, or that there will be none. A signal handler may do so, too.
        self._begun: SimpleQueue[bool] = SimpleQueue()
        self._watcher: threading.Thread | None = None
        # Who was sent on and when, until it is stopped again.
        self._sent_on: tuple[_Process, float] | None = None

    def enter(self) -> None:
        """Wait until no other process is inside; one thread of this process at a time."""
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._wait_to_enter()

    def leave(self) -> None:
        """Let others in; also when this process is not inside."""
        fcntl.lockf(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Be of no use any more."""
        self._begun.put(False)
        os.close(self._file)

    def _wait_to_enter(self) -> None:
        self._wait = next(self._numbers)
        if self._watcher is None:
            self._watcher = threading.Thread(target=self._watch, name="channels-ipc-gate", daemon=True)
            # Python may be about to end.
            with contextlib.suppress(RuntimeError):
                self._watcher.start()
        if self._begun.empty():
            self._begun.put(True)
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX)
        except OSError as error:
            raise ChannelLayerUnavailable(f"The IPC channel layer cannot wait for others: {error.strerror}.") from error
        finally:
            self._wait = 0
        if self._sent_on is not None:
            (process, at), self._sent_on = self._sent_on, None
            if time.monotonic() - at < _RECENTLY and _look_at(process.number)[1] == process.started:
                _send(process, signal.SIGSTOP)

    def _watch(self) -> None:
        while self._begun.get():
            wait, seen = self._wait, None
            time.sleep(_PATIENCE)
            while wait and wait == self._wait:
                found = self._stopped_inside()
                if found is not None and found == seen:
                    # First, or it might have left before it is known who is to be stopped again.
                    self._sent_on = found, time.monotonic()
                    _send(found, signal.SIGCONT)
                seen = found
                time.sleep(_PATIENCE)

    def _stopped_inside(self) -> _Process | None:
        number = self._holder()
        state, started = _look_at(number) if number else ("", "")
        return _Process(number, started) if state == "T" else None

    def _holder(self) -> int:
        """Return the number of the process that is inside; 0 if there is none."""
        asked = (fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0) if sys.platform == "linux" else (0, 0, 0, fcntl.F_WRLCK, 0)
        try:
            found = _LOCK.unpack(fcntl.fcntl(self._file, fcntl.F_GETLK, _LOCK.pack(*asked)))
        except OSError:
            # It was closed just now.
            return 0
        kind, number = (found[0], found[4]) if sys.platform == "linux" else (found[3], found[2])
        return 0 if kind == fcntl.F_UNLCK else int(number)


def _look_at(number: int) -> tuple[str, str]:
    """Return the state of a process, T if it is stopped, and when it was started, as the system puts it."""
    if not _HAS_PROC:
        command = ["/bin/ps", "-o", "state=,lstart=", "-p", str(number)]
        state, _, started = subprocess.run(command, capture_output=True, text=True).stdout.partition(" ")  # noqa: S603
        return state[:1], started.strip()
    try:
        # The name before it may hold anything.
        fields = Path(f"/proc/{number}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return "", ""
    return fields[0], fields[19]


def _send(process: _Process, number: signal.Signals) -> None:
    # It has ended, or is not ours.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(process.number, number)
