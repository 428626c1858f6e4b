"""
The folder of a layer: where it is, and whether it can be used.

All that the layer keeps lies in it, readable and writable for nobody but the user that the processes run as.
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from ...exceptions import InvalidChannelLayerError

# File systems of other machines: memory that processes share does not work there, nor do the sockets.
_REMOTE = ("9p", "afs", "ceph", "cifs", "fuse.sshfs", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4", "smb3", "smbfs")
_REMOTE_BEGINNINGS = ("fuse.", "virtiofs")
# Those on which reserved space stays reserved however often it is written: on others a full disk would end a process
# that writes to its memory.
_RESERVING = ("ext2", "ext3", "ext4", "overlay", "tmpfs", "xfs")
_CHANGE = "Change the path in CHANNEL_LAYER_URL (ipc:///path/of/the/folder)."


def default_path() -> Path:
    """Return where layers lie that nobody has given a path: a folder of this user among the temporary files."""
    return Path(tempfile.gettempdir()) / f"channels-{os.geteuid()}"


def prepare_folder(path: Path, size: int) -> Path:
    """
    Return a folder, made if it is not there, in which a map of ``size`` bytes has room.

    Raises ``InvalidChannelLayerError`` with what is wrong with it.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.parent == default_path():
            # Anybody may have made it.
            _check_owner(path.parent)
        if not os.path.lexists(path):
            path.mkdir(mode=0o700, exist_ok=True)
        _check_owner(path)
        folder = path.resolve(strict=True)
        kind = file_system(folder)
    except OSError as error:
        raise InvalidChannelLayerError(
            f"The folder of the IPC channel layer, {path}, cannot be used: {error.strerror}. Processes of the site "
            f"make files in it, as the user {os.geteuid()}. {_CHANGE}"
        ) from error
    if kind in _REMOTE or kind.startswith(_REMOTE_BEGINNINGS):
        raise InvalidChannelLayerError(
            f"The folder of the IPC channel layer, {folder}, is on a network file system ({kind}), where processes "
            f"cannot share memory; it has to be on a disk of this machine, or in its memory. {_CHANGE}"
        )
    _check_space(folder, size)
    return folder


def file_system(folder: Path) -> str:
    """Return the kind of file system that a folder is on; empty where the system does not tell."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text(errors="replace").splitlines()
    except OSError:
        return ""
    device = os.stat(folder).st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    kinds = [line.rpartition(" - ")[2].split(" ")[0] for line in mounts if line.split(" ")[2] == number]
    return kinds[-1] if kinds else ""


def keeps_reserved_space(folder: Path) -> bool:
    """Say whether the system can promise that what was reserved on a disk can be written."""
    return hasattr(os, "posix_fallocate") and file_system(folder) in _RESERVING


def describe_space(folder: Path, size: int, free: int) -> str:
    """Say that a map does not fit."""
    return (
        f"The IPC channel layer needs {_mebibytes(size)} in {folder}, where {_mebibytes(free)} are free. Make room, "
        "choose another folder, or give it less: ipc:///path?size=… (in bytes)."
    )


def free_space(folder: Path) -> int:
    """Return how many bytes are free where a folder is."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def _check_owner(path: Path) -> None:
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode):
        kind = "a symbolic link" if stat.S_ISLNK(found.st_mode) else "no folder"
        raise InvalidChannelLayerError(
            f"The folder of the IPC channel layer, {path}, is {kind}: somebody else may have put it there. Remove it. "
            f"{_CHANGE}"
        )
    if found.st_uid != os.geteuid():
        raise InvalidChannelLayerError(
            f"The folder of the IPC channel layer, {path}, belongs to the user {found.st_uid}, and this process runs "
            f"as {os.geteuid()}. All processes of a site run as the same user. {_CHANGE}"
        )
    if found.st_mode & 0o077:
        raise InvalidChannelLayerError(
            f"The folder of the IPC channel layer, {path}, has the mode {stat.S_IMODE(found.st_mode):04o}: other users "
            f"could read messages, or write them. Expected 0700: chmod 700 {path}"
        )


def _check_space(folder: Path, size: int) -> None:
    try:
        there = (folder / "data.mdb").lstat().st_blocks * 512
    except FileNotFoundError:
        there = 0
    free = free_space(folder) + there
    if free < size:
        raise InvalidChannelLayerError(describe_space(folder, size, free))


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"
