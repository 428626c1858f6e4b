"""
Keep several worker processes running, and replace them one by one.

Children are started anew from the command line, not forked: so a replacement runs the code that is there now.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

from .signal_pipe import SignalPipe

logger = logging.getLogger(__name__)

# The child writes a byte to this descriptor when its workers have reached the channel layer.
READY_VARIABLE = "CHANNELS_READY_FD"
# A replacement that is not ready after this time, in seconds, does not become one.
READY_TIMEOUT = 60.0
# What children get to finish their messages before they are killed.
STOP_TIMEOUT = 30.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
# A child that has lived so long, in seconds, did not die of its start.
_STABLE = 10.0


class Child:
    """One worker process. ``ready`` is a descriptor that can be read when it is ready, or never will be."""

    def __init__(self, command: Sequence[str]) -> None:
        self.ready, writer = os.pipe()
        os.set_blocking(self.ready, False)
        self._was_ready = False
        self._is_mute = False
        self.started = time.monotonic()
        try:
            environment = {**os.environ, READY_VARIABLE: str(writer)}
            self.process = subprocess.Popen(command, env=environment, pass_fds=[writer])  # noqa: S603
        finally:
            os.close(writer)

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self.process.pid

    def status(self) -> int | None:
        """Return the exit status, None while the process runs."""
        return self.process.poll()

    def was_ready(self) -> bool:
        """Say whether its workers have ever reached the channel layer."""
        if not self._was_ready and not self._is_mute:
            with contextlib.suppress(BlockingIOError):
                self._was_ready = bool(os.read(self.ready, 1))
                self._is_mute = not self._was_ready
        return self._was_ready

    @property
    def awaited(self) -> int | None:
        """The descriptor to wait for, None when nothing can come any more: then it could be read without end."""
        return None if self._is_mute else self.ready

    def send(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.status() is None:
            self.process.send_signal(number)

    def close(self) -> None:
        """Let go of an ended process."""
        os.close(self.ready)


class Supervisor:
    """
    Runs ``count`` processes of a command.

    A child that dies is replaced, after a growing pause if it died at its start; but if one fails before any has ever
    been ready, all are stopped. SIGHUP replaces all of them one by one, the new one up first. SIGTERM and SIGINT end
    them after their messages, a second one at once.
    """

    def __init__(self, command: Sequence[str], count: int) -> None:
        self._command = command
        self._signals = SignalPipe(signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
        self._stops = 0
        self._hangups = 0
        self._children = [Child(command) for _ in range(count)]
        self._pauses = [0.0] * count
        self._ever_ready = False

    def run(self) -> int:
        """Run until a stop signal; return the exit status, 0 if every child that was ready has ended with 0."""
        logger.info(
            "Running %d worker processes: %s", len(self._children), ", ".join(str(c.pid) for c in self._children)
        )
        while not self._stops:
            if self._fails_to_start():
                self._end(self._children)
                return 1
            self._replace_dead()
            if self._hangups:
                self._hangups = 0
                self._replace_all()
            else:
                self._wait(self._next_start())
        return self._stop()

    def _fails_to_start(self) -> bool:
        """Say whether a process has failed and none has ever been ready: the next ones would not be either."""
        self._ever_ready = self._ever_ready or any(child.was_ready() for child in self._children)
        # Whoever was killed by a signal has a negative status, and says nothing of the next ones.
        failed = [child for child in self._children if (child.status() or 0) > 0]
        if self._ever_ready or not failed:
            return False
        logger.error(
            "Worker process %d has ended with status %s before any was ready, as others would; all are stopped",
            failed[0].pid,
            failed[0].status(),
        )
        return True

    def _wait(self, timeout: float | None, other: int | None = None) -> None:
        for number in self._signals.wait(timeout, other):
            self._stops += number in (signal.SIGTERM, signal.SIGINT)
            self._hangups += number == signal.SIGHUP

    def _replace_dead(self) -> None:
        for index, child in enumerate(self._children):
            lived = time.monotonic() - child.started
            if child.status() is None or lived < self._pauses[index]:
                continue
            logger.error("Worker process %d has ended with status %s and is replaced", child.pid, child.status())
            longer = min(max(self._pauses[index] * 2, _FIRST_PAUSE), _LONGEST_PAUSE)
            self._pauses[index] = 0.0 if lived > _STABLE else longer
            child.close()
            self._children[index] = Child(self._command)

    def _next_start(self) -> float | None:
        """Return the time until a child that died at its start may be replaced, None if there is none."""
        starts = [
            child.started + pause
            for child, pause in zip(self._children, self._pauses, strict=True)
            if child.status() is not None
        ]
        return max(0.0, min(starts) - time.monotonic()) if starts else None

    def _replace_all(self) -> None:
        logger.info("Replacing %d worker processes one by one", len(self._children))
        for index, old in enumerate(self._children):
            new = Child(self._command)
            if not self._wait_ready(new):
                if not self._stops:
                    fails = "does not reach the channel layer" if new.status() is None else "does not start"
                    logger.error("The new worker process %s; the old ones go on", fails)
                self._end([new])
                return
            self._children[index] = new
            self._pauses[index] = 0.0
            self._end([old])
            logger.info("Worker process %d has taken over from %d", new.pid, old.pid)

    def _wait_ready(self, child: Child) -> bool:
        """Wait until a new process is ready; return False if it ends, takes too long, or all shall stop."""
        deadline = time.monotonic() + READY_TIMEOUT
        while not child.was_ready():
            left = deadline - time.monotonic()
            if self._stops or left <= 0 or child.status() is not None:
                return False
            self._wait(left, child.awaited)
        return True

    def _end(self, children: Sequence[Child]) -> None:
        """Ask processes to finish their messages and end; kill them after a while, or at a second stop signal."""
        deadline, stops = time.monotonic() + STOP_TIMEOUT, self._stops
        for child in children:
            child.send(signal.SIGTERM)
        while any(child.status() is None for child in children):
            if time.monotonic() >= deadline or self._stops > max(stops, 1):
                logger.error("Worker processes that have not ended are killed, with the messages they are working on")
                for child in children:
                    child.send(signal.SIGKILL)
            self._wait(max(0.1, deadline - time.monotonic()))
        for child in children:
            child.close()

    def _stop(self) -> int:
        # Who is still starting has nothing to finish, and may not be able to end well yet.
        were_ready = [child for child in self._children if child.was_ready()]
        self._end(self._children)
        return 1 if any(child.status() for child in were_ready) else 0


def child_command() -> list[str]:
    """Return the command line of this process, made to run one process."""
    return [sys.executable, *sys.orig_argv[1:], "--processes", "1"]


def tell_ready() -> None:
    """Tell the parent, if there is one, that the workers of this process have reached the channel layer."""
    descriptor = os.environ.pop(READY_VARIABLE, None)
    if descriptor is not None:
        # The parent may have been killed; its children go on.
        with contextlib.suppress(BrokenPipeError):
            os.write(int(descriptor), b"1")
        os.close(int(descriptor))
