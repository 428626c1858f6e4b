"""
Keep several worker processes running, and replace them one by one.

Children are started anew from the command line, not forked: so a replacement runs the code that is there now.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from types import FrameType

logger = logging.getLogger(__name__)

# The child writes a byte to this descriptor when its workers read.
READY_VARIABLE = "CHANNELS_READY_FD"
# A replacement that is not ready after this time, in seconds, does not become one.
READY_TIMEOUT = 60.0
# What children get to finish their messages before they are killed.
STOP_TIMEOUT = 30.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
# A child that has lived so long did not die of its start.
_STABLE = 10.0


class Child:
    """One worker process."""

    def __init__(self, command: Sequence[str]) -> None:
        reader, writer = os.pipe()
        self._ready_reader = reader
        self.ready = False
        self.started = time.monotonic()
        try:
            environment = {**os.environ, READY_VARIABLE: str(writer)}
            self.process = subprocess.Popen(command, env=environment, pass_fds=[writer])  # noqa: S603
        finally:
            os.close(writer)

    def wait_ready(self, timeout: float) -> bool:
        """Wait until the workers read; return False if the process has ended or takes too long."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._ready_reader, selectors.EVENT_READ)
            if selector.select(timeout):
                self.ready = bool(os.read(self._ready_reader, 1))
        return self.ready

    def terminate(self) -> None:
        """Ask the process to finish its messages and end."""
        if self.process.poll() is None:
            self.process.terminate()

    def wait(self, timeout: float) -> int:
        """Wait for the end, which is made after ``timeout`` seconds; return the exit status."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            logger.error("Worker process %d has not ended within %.0f s and is killed", self.process.pid, timeout)
            self.process.kill()
            return self.process.wait()
        finally:
            with contextlib.suppress(OSError):
                os.close(self._ready_reader)


class Supervisor:
    """
    Runs ``count`` processes of a command.

    A child that dies is replaced, after a growing pause if it died at its start. SIGHUP replaces all of them one by
    one, the new one up first. SIGTERM and SIGINT end them after their messages, a second one at once.
    """

    def __init__(self, command: Sequence[str], count: int) -> None:
        self._command = command
        self._children = [Child(command) for _ in range(count)]
        self._pauses = [0.0] * count
        self._stops = 0
        self._hangups = 0

    def run(self) -> int:
        """Run until a stop signal; return the exit status, 0 if every child has ended with 0."""
        wake_reader, wake_writer = os.pipe()
        os.set_blocking(wake_writer, False)
        signal.set_wakeup_fd(wake_writer)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, self._note)
        with selectors.DefaultSelector() as selector:
            selector.register(wake_reader, selectors.EVENT_READ)
            while not self._stops:
                self._replace_dead()
                if self._hangups:
                    self._hangups = 0
                    self._replace_all()
                    continue
                if selector.select(self._next_start()):
                    os.read(wake_reader, 4096)
        return self._stop()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._stops += number in (signal.SIGTERM, signal.SIGINT)
        self._hangups += number == signal.SIGHUP
        if self._stops > 1:
            for child in self._children:
                child.process.kill()

    def _replace_dead(self) -> None:
        for index, child in enumerate(self._children):
            status = child.process.poll()
            if status is None:
                continue
            lived = time.monotonic() - child.started
            if lived < self._pauses[index]:
                continue
            child.wait(0)
            self._pauses[index] = (
                0.0 if lived > _STABLE else min(max(self._pauses[index] * 2, _FIRST_PAUSE), _LONGEST_PAUSE)
            )
            logger.error("Worker process %d has ended with status %d and is replaced", child.process.pid, status)
            self._children[index] = Child(self._command)

    def _next_start(self) -> float | None:
        """Return the time until a child that died at its start may be replaced, None if there is none."""
        dead = [index for index, child in enumerate(self._children) if child.process.poll() is not None]
        now = time.monotonic()
        return min((self._children[index].started + self._pauses[index] - now for index in dead), default=None)

    def _replace_all(self) -> None:
        logger.info("Replacing %d worker processes one by one", len(self._children))
        for index, old in enumerate(self._children):
            if self._stops:
                return
            new = Child(self._command)
            if not new.wait_ready(READY_TIMEOUT):
                logger.error("The new worker process does not start; the old ones go on")
                new.terminate()
                new.wait(STOP_TIMEOUT)
                return
            self._children[index] = new
            self._pauses[index] = 0.0
            old.terminate()
            old.wait(STOP_TIMEOUT)
            logger.info("Worker process %d has taken over from %d", new.process.pid, old.process.pid)

    def _stop(self) -> int:
        for child in self._children:
            child.terminate()
        statuses = [child.wait(STOP_TIMEOUT) for child in self._children]
        return 0 if not any(statuses) else 1


def child_command() -> list[str]:
    """Return the command line of this process, made to run one process."""
    return [sys.executable, *sys.orig_argv[1:], "--processes", "1"]


def tell_ready() -> None:
    """Tell the parent, if there is one, that the workers of this process read."""
    descriptor = os.environ.pop(READY_VARIABLE, None)
    if descriptor is not None:
        os.write(int(descriptor), b"1")
        os.close(int(descriptor))
