"""
Bells: sockets by which those that wait are woken.

A bell rings by a datagram that says nothing. It lies in the folder of the layer, which only its owner may enter.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import select
import socket
import time
import weakref
from pathlib import Path

# What the address of a socket may take, in bytes: 104 on macOS, 108 on Linux, with a zero at the end.
_LONGEST_ADDRESS = 103
_PREFIX = "bell-"
# So long, in seconds, the making of one may take.
_TIME_TO_MAKE = 10.0


class Belfry:
    """The bells of one folder, those of other processes too."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ringer = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._ringer.setblocking(False)
        self._descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        self._own: weakref.WeakSet[Bell] = weakref.WeakSet()

    def close(self) -> None:
        """Ring no more."""
        self._ringer.close()
        os.close(self._descriptor)

    def hang(self) -> Bell:
        """Return a new bell."""
        bell = Bell(self)
        self._own.add(bell)
        return bell

    def is_whole(self) -> bool:
        """Say whether nobody has removed a bell of this process."""
        return all(self._path(bell.name).exists() for bell in list(self._own))

    def ring(self, name: str) -> bool:
        """Ring a bell; return False if nobody is there to hear it."""
        try:
            self._ringer.sendto(b"", self.address(name))
        except BlockingIOError:
            # It has rung so often that its reader will hear it in any case.
            return True
        except ConnectionRefusedError:
            self.remove(name)
            return False
        except OSError as error:
            # So macOS says that it has rung that often; or there is none.
            return error.errno == errno.ENOBUFS
        return True

    def remove(self, name: str) -> None:
        """Remove what is left of a bell."""
        with contextlib.suppress(OSError):
            self._path(name).unlink()

    def remove_dead(self) -> None:
        """Remove the bells of processes that were killed."""
        for path in self._folder.glob(f"{_PREFIX}*"):
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as visitor:
                try:
                    visitor.connect(self.address(path.name.removeprefix(_PREFIX)))
                except ConnectionRefusedError:
                    # One that is just being made refuses, too.
                    if abs(time.time() - path.lstat().st_ctime) > _TIME_TO_MAKE:
                        path.unlink()

    def address(self, name: str) -> str:
        """Return the address of a bell, by a way that is short enough."""
        path = str(self._path(name))
        if len(os.fsencode(path)) <= _LONGEST_ADDRESS:
            return path
        # Where the folder lies deep, Linux has a short way to it.
        return f"/proc/self/fd/{self._descriptor}/{_PREFIX}{name}"

    def _path(self, name: str) -> Path:
        return self._folder / f"{_PREFIX}{name}"


class Bell:
    """One bell, for the thread or the event loop that waits for it."""

    def __init__(self, belfry: Belfry) -> None:
        self._belfry = belfry
        self._process = os.getpid()
        self.name = secrets.token_hex(6)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(belfry.address(self.name))
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)

    def hangs_in(self, belfry: Belfry) -> bool:
        """Say whether it is one of these bells."""
        return self._belfry is belfry

    def fileno(self) -> int:
        """Return what an event loop watches."""
        return self._socket.fileno()

    def wait(self, seconds: float) -> None:
        """Wait until it rings, so many seconds at most."""
        self._poll.poll(max(0.0, seconds) * 1000)
        self.be_quiet()

    def be_quiet(self) -> None:
        """Forget that it has rung."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self._socket.recv(1)

    def ring(self) -> None:
        """Ring it from this process."""
        self._belfry.ring(self.name)

    def __del__(self) -> None:
        if hasattr(self, "_socket"):
            self._socket.close()
            # A process that was forked from ours has a copy of it.
            if self._process == os.getpid():
                self._belfry.remove(self.name)
