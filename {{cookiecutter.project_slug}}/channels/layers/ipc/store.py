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
from typing import TypeVar, cast

import lmdb

from ...exceptions import ChannelLayerUnavailable
from ...values.names import prefix_of
from ..base import BaseChannelLayer
from ..statistics import DropLog
from . import counts, queues
from .bells import Belfry, Bell
from .environment import BROKEN, Environment, discard, open_environment
from .visit import Dropped, NoRoom, Visit

logger = logging.getLogger(__name__)

T = TypeVar("T")

# So often, in seconds, whoever visits the map looks whether it is still the one that others use.
_LOOK = 3.0
# For so long, in seconds, want of room explains why a message is refused.
_HINT_LIFE = 10.0
_ADVICE = {"expired": "Is a worker or interface server reading it?"}

# Of this process, one visits one map at a time. Reentrant: a signal handler may send, and a discarded object, in the
# middle of a visit.
_lock = threading.RLock()


class MapIsFull(ChannelLayerUnavailable):
    """Is raised when the map has no room left."""


class Store:
    """The map of one folder, for all threads and event loops of this process; ``size`` is in bytes."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        self.size = size
        self._environment: Environment | None = None
        self._belfry: Belfry | None = None
        self._local = threading.local()
        self._visit: Visit | None = None
        self._was_full = -_HINT_LIFE
        self._next_look = 0.0
        self._log = DropLog(time.monotonic)

    def visit(self, layer: BaseChannelLayer, step: Callable[[Visit], T]) -> T:
        """
        Do something with the map, all of it or nothing, and wake who waits for it.

        Raises ``ChannelLayerUnavailable``, also for a map that is full.
        """
        with _lock:
            if self._visit is not None:
                return step(self._visit)
            if time.monotonic() >= self._next_look:
                # Whoever only sends would send to nobody for ever.
                self.look_after()
            environment = self._opened()
            try:
                visit, result = self._pass_gate(environment, layer, step)
            except (lmdb.MapFullError, NoRoom) as error:
                self._was_full = time.monotonic()
                raise MapIsFull(self._describe_full()) from error
            except lmdb.Error as error:
                raise self._failed(error) from error
            if visit.was_full:
                self._was_full = time.monotonic()
        for queue, bell in visit.to_wake:
            self._wake(layer, queue, bell)
        for dropped in visit.dropped:
            self.warn(layer, dropped)
        return result

    def _pass_gate(
        self, environment: Environment, layer: BaseChannelLayer, step: Callable[[Visit], T]
    ) -> tuple[Visit, T]:
        try:
            environment.gate.enter()
            with environment.map.begin(write=True) as transaction:
                visit = self._visit = Visit(transaction, layer, self.size)
                result = step(visit)
                counts.save(visit)
            return visit, result
        finally:
            self._visit = None
            environment.gate.leave()

    def _wake(self, layer: BaseChannelLayer, queue: str, bell: str | None) -> None:
        while bell is not None and not self.belfry.ring(bell):
            # Its reader was killed. The next one.
            bell = self.visit(layer, lambda visit: queues.take_first_bell(visit, queue))

    def warn(self, layer: BaseChannelLayer, dropped: Dropped) -> None:
        """Warn of messages that reached nobody, once a minute per channel and reason."""
        queue, reason, advice, number = dropped
        if not advice:
            advice = layer.describe_full(queue) if reason.startswith("full") else _ADVICE.get(reason, "")
        with _lock:
            self._log.warn(prefix_of(queue), reason, advice, number)

    @property
    def belfry(self) -> Belfry:
        """The bells of the folder."""
        with _lock:
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
            # Nobody counts the bells meanwhile.
            with _lock:
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
        with _lock:
            self._next_look = time.monotonic() + _LOOK
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

    def describe_trouble(self) -> str:
        """Say why messages are refused, if it was for want of room lately."""
        return self._describe_full() if time.monotonic() - self._was_full < _HINT_LIFE else ""

    def _describe_full(self) -> str:
        return (
            f"The map of the IPC channel layer in {self.folder} ({self.size >> 20} MiB) is full. Start more workers to "
            "empty its channels, or give it more: ipc:///path?size=… (in bytes)."
        )

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

    def forget(self) -> None:
        """Leave to the process from which this one was forked what it has opened."""
        self._local = threading.local()
        self._close()

    def _failed(self, error: lmdb.Error) -> ChannelLayerUnavailable:
        self._close()
        if isinstance(error, BROKEN):
            discard(self.folder)
        return ChannelLayerUnavailable(f"The map of the IPC channel layer in {self.folder} failed: {error}.")

    def __del__(self) -> None:
        self._close()


_stores: weakref.WeakValueDictionary[Path, Store] = weakref.WeakValueDictionary()


def store_of(folder: Path, size: int) -> Store:
    """Return what this process has of a folder."""
    with _lock:
        store = _stores.get(folder)
        if store is None:
            store = _stores[folder] = Store(folder, size)
        return store


def _forget_all() -> None:
    try:
        for store in _stores.values():
            store.forget()
    finally:
        _lock.release()


# Nobody is visiting a map while a process is forked, and the new one opens its own.
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_forget_all)
