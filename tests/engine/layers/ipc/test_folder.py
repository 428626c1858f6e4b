"""The folder of the IPC layer: only what nobody else can read or write is used, and what is wrong is told."""

import os
import re
import stat
import subprocess

import pytest

from channels.exceptions import InvalidChannelLayerError
from channels.layers.ipc import IPCChannelLayer, folder

from .conftest import SIZE

MIB = 2**20


def make(path, **options):
    return IPCChannelLayer(path, **{"size": SIZE, **options})


def test_nobody_else_can_read_or_write_what_lies_there(tmp_path):
    before = os.umask(0)
    try:
        layer = make(tmp_path / "deep" / "folder")
        layer.send("jobs", {})
        layer.receive(["jobs"], block=True, timeout=0.01)
        layer.receive(["jobs"], block=True, timeout=0.01)
    finally:
        os.umask(before)

    files = list(layer.store.folder.iterdir())
    assert {path.name.partition("-")[0] for path in files} == {
        "about",
        "bell",
        "data.mdb",
        "gate",
        "lock.mdb",
        "opening",
        "users",
    }
    assert stat.S_IMODE(layer.store.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in files if not path.is_socket()} == {0o600}


def test_without_a_path_it_is_one_of_this_user_among_the_temporary_files(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    assert make(None, prefix="shop").store.folder == tmp_path / f"channels-{os.geteuid()}" / "shop"


@pytest.mark.parametrize("kind", ["a symbolic link", "no folder"])
def test_something_else_of_that_name_is_refused(tmp_path, kind):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    if kind == "a symbolic link":
        (tmp_path / "channels").symlink_to(tmp_path / "elsewhere")
    else:
        (tmp_path / "channels").touch()

    with pytest.raises(InvalidChannelLayerError, match=f"{tmp_path}/channels, is {kind}: .* CHANNEL_LAYER_URL"):
        make(tmp_path)
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("name", ["opening", "users", "gate"])
def test_a_link_in_place_of_a_file_is_not_followed(tmp_path, name):
    (tmp_path / "channels").mkdir(mode=0o700)
    (tmp_path / "channels" / name).symlink_to(tmp_path / "target")

    with pytest.raises(Exception, match=r"cannot be used: Too many levels of symbolic links"):
        make(tmp_path).send("jobs", {})
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o701])
def test_a_folder_that_others_may_enter_is_refused(tmp_path, mode):
    (tmp_path / "channels").mkdir()
    (tmp_path / "channels").chmod(mode)

    with pytest.raises(InvalidChannelLayerError, match=f"mode {mode:04o}: .*chmod 700 {tmp_path}/channels"):
        make(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="Only root can give a folder to somebody else.")
def test_the_folder_of_another_user_is_refused(tmp_path):
    (tmp_path / "channels").mkdir(mode=0o700)
    os.chown(tmp_path / "channels", 1234, -1)

    with pytest.raises(InvalidChannelLayerError, match="belongs to the user 1234, and this process runs as 0"):
        make(tmp_path)


def test_a_place_in_which_no_folder_can_be_made_is_told(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(InvalidChannelLayerError, match=r"cannot be used: .* CHANNEL_LAYER_URL"):
        make(tmp_path / "file" / "deeper")


@pytest.mark.parametrize("kind", ["link", "mode"])
def test_so_it_is_with_the_folder_among_the_temporary_files(tmp_path, monkeypatch, kind):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    default = tmp_path / f"channels-{os.geteuid()}"
    if kind == "link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        default.symlink_to(tmp_path / "elsewhere")
    else:
        default.mkdir()
        default.chmod(0o777)

    with pytest.raises(InvalidChannelLayerError, match=f"{default}, (is a symbolic link|has the mode 0777)"):
        make(None)


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "9p", "fuse.sshfs"])
def test_a_network_file_system_is_refused(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(folder, "file_system", lambda path: kind)

    with pytest.raises(InvalidChannelLayerError, match=re.escape(f"is on a network file system ({kind})")):
        make(tmp_path)


def test_the_kind_of_a_file_system_is_that_of_its_mount():
    expected = subprocess.run(["stat", "-f", "-c", "%T", "/dev/shm"], capture_output=True, text=True).stdout.strip()

    assert folder.file_system("/dev/shm") == expected == "tmpfs"


def test_a_map_that_does_not_fit_is_told_at_the_start(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "free_space", lambda path: 6 * MIB)

    with pytest.raises(InvalidChannelLayerError, match=r"needs 8 MiB in .*, where 6 MiB are free.*size=… \(in bytes\)"):
        make(tmp_path)


@pytest.mark.parametrize("size", [0, -1, True, 1.5, "8", MIB, 4 * MIB])
def test_a_size_that_makes_no_sense_is_refused(tmp_path, size):
    with pytest.raises(
        InvalidChannelLayerError, match=re.escape(f"{size!r}; expected a number of bytes, at least 1 MiB")
    ):
        make(tmp_path, size=size)


@pytest.mark.parametrize("prefix", ["", ".", "..", "a/b", "/"])
def test_a_prefix_is_the_name_of_a_folder(tmp_path, prefix):
    with pytest.raises(InvalidChannelLayerError, match="expected the name of a folder"):
        make(tmp_path, prefix=prefix)


def test_a_folder_may_lie_so_deep_that_the_address_of_no_socket_would_hold_its_name(tmp_path):
    layer = make(tmp_path / ("x" * 100) / ("y" * 100))
    layer.send("jobs", {})

    assert layer.receive(["jobs"], block=True, timeout=1) == ("jobs", {})
    assert layer.receive(["jobs"], block=True, timeout=0.01) == (None, None)
