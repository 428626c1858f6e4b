"""
Open the map of a folder, and begin a new one where the old one is of no use.

LMDB keeps the map whole whenever a process dies, as long as each opens it once, with the same size and the same rules.
So whoever opens it does so alone, and a file beside it says what it was made for. The map of another boot tells of
processes that are no more; that of another version cannot be read: both are replaced as soon as nobody uses them.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import lmdb

from ...exceptions import ChannelLayerUnavailable, InvalidChannelLayerError
from .folder import describe_space, free_space, keeps_reserved_space, prepare_folder
from .gate import Gate

logger = logging.getLogger(__name__)

# That of keys and values; see ``visit``.
VERSION = 1
_DATA, _LOCK, _ABOUT = "data.mdb", "lock.mdb", "about"
# What LMDB says of a file that is none of its own, or no longer whole.
BROKEN = (lmdb.CorruptedError, lmdb.InvalidError, lmdb.PageNotFoundError, lmdb.PanicError)


class _About(NamedTuple):
    """What a map was made for."""

    version: str
    boot: str
    # Locks of processes that see each other under other numbers do not work.
    processes: str
    size: str


class Environment:
    """An open map, and its gate. ``size`` is that of the map, whatever was asked for."""

    def __init__(self, folder: Path, size: int, map_: lmdb.Environment, users: int) -> None:
        self.map = map_
        self.gate = Gate(_open_file(folder / "gate"))
        self.size = size
        self._path = folder / _DATA
        self._users = users
        self._identity = _identity(self._path)

    def is_current(self) -> bool:
        """Say whether this is still what others find in the folder."""
        return _identity(self._path) == self._identity

    def close(self) -> None:
        """Close it. Nobody may be using it."""
        self.map.close()
        self.gate.close()
        os.close(self._users)


def open_environment(folder: Path, size: int) -> Environment:
    """Open the map of a folder, or make one of ``size`` bytes. Raises ``ChannelLayerUnavailable``."""
    try:
        # It may have been deleted since it was looked at.
        prepare_folder(folder, size)
        with _locked(folder / "opening"):
            return _open(folder, size)
    except InvalidChannelLayerError as error:
        raise ChannelLayerUnavailable(str(error)) from error
    except lmdb.Error as error:
        raise ChannelLayerUnavailable(
            f"The map of the IPC channel layer in {folder} cannot be opened: {error}."
        ) from error
    except OSError as error:
        raise ChannelLayerUnavailable(
            f"The folder of the IPC channel layer, {folder}, cannot be used: {error.strerror}."
        ) from error


def discard(folder: Path) -> None:
    """Have whoever opens the map of a folder make a new one; those who use it find that out."""
    (folder / _ABOUT).unlink(missing_ok=True)


def _open(folder: Path, size: int) -> Environment:
    expected, found = _About(str(VERSION), _boot(), _processes(), str(size)), _read_about(folder)
    users = _open_file(folder / "users")
    try:
        is_alone = _is_alone(users)
        if found is not None and found != expected:
            found = None if is_alone else _joined(folder, found, expected)
        fcntl.flock(users, fcntl.LOCK_SH)
        if found is None:
            return _make(folder, expected, users)
        try:
            return _open_map(folder, int(found.size), users)
        except (*BROKEN, lmdb.VersionMismatchError) as error:
            if isinstance(error, lmdb.VersionMismatchError) and not is_alone:
                raise
            logger.error("The map of the IPC channel layer in %s is broken, and is replaced: %s", folder, error)
            return _make(folder, expected, users)
    except BaseException:
        os.close(users)
        raise


def _joined(folder: Path, found: _About, expected: _About) -> _About:
    """Return what a map is made for that others use, and that can be used here, too."""
    if found._replace(size=expected.size) == expected:
        logger.warning(
            "The IPC channel layer in %s has %s bytes, and not %s: processes that run have made it. Stop all of them "
            "to change it.",
            folder,
            found.size,
            expected.size,
        )
        return found
    different = [name for name in ("version", "boot", "processes") if getattr(found, name) != getattr(expected, name)]
    reason = {
        "version": "of another version of channels: stop all of them, then start anew",
        "boot": "of another boot of this machine, or of another machine: give each its own folder",
        "processes": "in another container, or namespace of processes: give each its own folder, or use redis://",
    }[different[0]]
    raise ChannelLayerUnavailable(f"The folder of the IPC channel layer, {folder}, is used by processes {reason}.")


def _make(folder: Path, about: _About, users: int) -> Environment:
    for name in (_ABOUT, _DATA, _LOCK):
        (folder / name).unlink(missing_ok=True)
    environment = _open_map(folder, int(about.size), users)
    # At the very end: a map without it was not finished.
    with open(_open_file(folder / _ABOUT), "w") as file:
        file.write("\n".join(about))
    return environment


def _open_map(folder: Path, size: int, users: int) -> Environment:
    keeps = keeps_reserved_space(folder)
    map_ = lmdb.open(
        str(folder),
        map_size=size,
        mode=0o600,
        # What a reboot would lose is of no use after it.
        sync=False,
        metasync=False,
        writemap=keeps,
        readahead=False,
        max_readers=1,
        max_dbs=0,
    )
    try:
        if keeps:
            # Not before it is open, for LMDB takes nothing that is not empty; not later than anything is written.
            _reserve(folder, size)
        return Environment(folder, size, map_, users)
    except BaseException:
        map_.close()
        raise


def _reserve(folder: Path, size: int) -> None:
    descriptor = os.open(folder / _DATA, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        free = free_space(folder)
        # What could be reserved of it would be in the way of others.
        with contextlib.suppress(OSError):
            (folder / _DATA).unlink()
        raise ChannelLayerUnavailable(describe_space(folder, size, free)) from error
    finally:
        os.close(descriptor)


def _read_about(folder: Path) -> _About | None:
    try:
        lines = (folder / _ABOUT).read_text().split("\n")
        (folder / _DATA).lstat()
        about = _About(*lines)
        int(about.size)
    except (FileNotFoundError, TypeError, ValueError):
        return None
    return about


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Be alone with a folder."""
    while True:
        descriptor = _open_file(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # Somebody may have removed it while we waited.
            if _identity(path) == _identity(descriptor):
                yield
                return
        finally:
            os.close(descriptor)


def _is_alone(users: int) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _open_file(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _identity(file: Path | int) -> tuple[int, int] | None:
    try:
        found = os.stat(file)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _boot() -> str:
    """Return what tells this boot of the machine from others."""
    if sys.platform == "darwin":
        command = ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"]
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()  # noqa: S603
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _processes() -> str:
    """Return what tells the processes that see each other from others."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""
