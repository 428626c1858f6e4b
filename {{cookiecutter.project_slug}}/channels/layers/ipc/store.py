"""
What one process has of a folder: its map, its bells, and the way to visit the map.

It is opened at the first visit, and a process that is forked opens it anew. Layers that share a folder share it, for
LMDB allows a process to open a map once.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import lmdb

from ...exceptions import ChannelLayerUnavailable
from . import counts, waiting
from .bells import Belfry, Bell
from .environment import BROKEN, Environment, discard, open_environment
from .visit import Visit

if TYPE_CHECKING:
    from .layer import IPCChannelLayer

logger = logging.getLogger(__name__)

T = TypeVar("T")

# For so long, in seconds, want of room explains why a message is refused.
_HINT_LIFE = 10.0


class MapIsFull(ChannelLayerUnavailable):
    """Is raised when the map has no room left."""


class Store:
    """The map of one folder, for all threads and event loops of this process; ``size`` is in bytes."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        self.size = size
        # Reentrant: a signal handler may send, and a discarded object, in the middle of a visit.
        self._lock = threading.RLock()
        self._environment: Environment | None = None
        self._belfry: Belfry | None = None
        self._local = threading.local()
        self._visit: Visit | None = None
        self._was_full = -_HINT_LIFE

    def visit(self, layer: IPCChannelLayer, step: Callable[[Visit], T]) -> T:
        """
        Do something with the map, all of it or nothing, and wake who waits for it.

        Raises ``ChannelLayerUnavailable``, also for a map that is full.
        """
        with self._lock:
            if self._visit is not None:
                return step(self._visit)
            try:
                with self._opened().map.begin(write=True) as transaction:
                    visit = self._visit = Visit(transaction, layer)
                    result = step(visit)
                    counts.save(visit)
            except lmdb.MapFullError as error:
                raise self._full() from error
            except lmdb.Error as error:
                raise self._failed(error) from error
            finally:
                self._visit = None
        for queue, bell in visit.to_wake:
            self._wake(layer, queue, bell)
        for dropped in visit.dropped:
            layer.warn_dropped(*dropped)
        return result

    def _wake(self, layer: IPCChannelLayer, queue: str, bell: str | None) -> None:
        while bell is not None and not self.belfry.ring(bell):
            # Its reader was killed. The next one.
            bell = self.visit(layer, lambda visit: waiting.take_one(visit, queue))

    @property
    def belfry(self) -> Belfry:
        """The bells of the folder."""
        with self._lock:
            self._opened()
            return cast(Belfry, self._belfry)

    def bell(self) -> Bell:
        """Return the bell of this thread."""
        belfry = self.belfry
        bell: Bell | None = getattr(self._local, "bell", None)
        if bell is None or not bell.hangs_in(belfry):
            bell = self._local.bell = self.new_bell()
        return bell

    def new_bell(self) -> Bell:
        """Return a bell that is rung by whoever has its name."""
        try:
            try:
                return self.belfry.hang()
            except FileNotFoundError:
                # The folder was deleted just now.
                self.look_after()
                return self.belfry.hang()
        except OSError as error:
            raise ChannelLayerUnavailable(
                f"No socket can be made in the folder of the IPC channel layer, {self.folder}: {error.strerror}."
            ) from error

    def look_after(self) -> None:
        """Find out whether the folder is still the one that others use, and whether others can ring our bells."""
        with self._lock:
            if self._environment is None or self._belfry is None or self._visit is not None:
                return
            if not self._environment.is_current():
                text = "The files of the IPC channel layer in %s are gone, and so is what was in them"
                logger.error(text, self.folder)
                self._close()
            elif not self._belfry.is_whole():
                # New bells hang in a new one.
                self._belfry.close()
                self._belfry = Belfry(self.folder)

    def describe_full(self) -> str:
        """Say that there is no room."""
        return (
            f"The map of the IPC channel layer in {self.folder} ({self.size >> 20} MiB) is full. Start more workers to "
            "empty its channels, or give it more: ipc:///path?size=… (in bytes)."
        )

    def describe_trouble(self) -> str:
        """Say why messages are refused, if it was for want of room lately."""
        return self.describe_full() if time.monotonic() - self._was_full < _HINT_LIFE else ""

    def note_full(self) -> None:
        """Take note that there was no room."""
        self._was_full = time.monotonic()

    def _opened(self) -> Environment:
        if self._environment is None:
            self._environment = open_environment(self.folder, self.size)
            self.size = self._environment.size
            self._belfry = Belfry(self.folder)
            self._belfry.remove_dead()
        return self._environment

    def _close(self) -> None:
        if self._environment is not None:
            self._environment.close()
        if self._belfry is not None:
            self._belfry.close()
        self._environment = self._belfry = None

    def hold(self) -> None:
        """Let nobody visit the map until ``release``: a process is forked."""
        self._lock.acquire()

    def release(self, in_child: bool) -> None:
        """Go on. What the parent has opened is its own: a child opens all of it anew."""
        if in_child:
            self._local = threading.local()
            self._close()
        self._lock.release()

    def _full(self) -> MapIsFull:
        self.note_full()
        return MapIsFull(self.describe_full())

    def _failed(self, error: lmdb.Error) -> ChannelLayerUnavailable:
        self._close()
        if isinstance(error, BROKEN):
            discard(self.folder)
        return ChannelLayerUnavailable(f"The map of the IPC channel layer in {self.folder} failed: {error}.")

    def __del__(self) -> None:
        self._close()


_stores: weakref.WeakValueDictionary[Path, Store] = weakref.WeakValueDictionary()
_making = threading.Lock()


def store_of(folder: Path, size: int) -> Store:
    """Return what this process has of a folder."""
    with _making:
        store = _stores.get(folder)
        if store is None:
            store = _stores[folder] = Store(folder, size)
        return store


def _before_fork() -> None:
    _making.acquire()
    _held.extend(_stores.values())
    for store in _held:
        store.hold()


def _after_fork(in_child: bool) -> None:
    for store in _held:
        store.release(in_child)
    _held.clear()
    _making.release()


_held: list[Store] = []
os.register_at_fork(
    before=_before_fork,
    after_in_parent=lambda: _after_fork(in_child=False),
    after_in_child=lambda: _after_fork(in_child=True),
)
