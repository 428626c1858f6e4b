"""What becomes of the map: it is opened by all in the same way, replaced when it is of no use, and never overfull."""

import asyncio
import os
import shutil
import subprocess
import sys
import threading
import time

import pytest

from channels.exceptions import ChannelFull, ChannelLayerUnavailable
from channels.layers.base import Lease
from channels.layers.ipc import IPCChannelLayer, environment, folder, store

from ....baking import FOLDER, REPOSITORY
from .conftest import SIZE

MIB = 2**20
HELPER = """
import sys, time
from channels.layers.ipc import IPCChannelLayer
layer = IPCChannelLayer(sys.argv[1], size=int(sys.argv[2]))
layer.send("jobs", {"from": "another"})
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def another(tmp_path):
    """Return a function that starts another process with the layer."""
    started = []

    def start(size=SIZE):
        process = subprocess.Popen(
            [sys.executable, "-c", HELPER, tmp_path, str(size)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY / FOLDER)},
        )
        started.append(process)
        assert process.stdout.readline() == b"ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def rewrite(path, name, value):
    """Change what is said of a map, as if something else had made it."""
    about = path / "channels" / "about"
    lines = environment._About(*about.read_text().split("\n"))
    about.write_text("\n".join(lines._replace(**{name: value})))


def restarted(layer, **options):
    """Return the layer as another process would open it, when this one has closed it."""
    path, clock = layer.store.folder.parent, layer.clock
    layer.store._close()
    store._stores.clear()
    return IPCChannelLayer(path, **{"size": SIZE, "clock": clock, **options})


def test_messages_outlive_the_processes_that_have_sent_them(make_ipc):
    layer = make_ipc()
    layer.send("jobs", {"number": 1})

    assert restarted(layer).receive(["jobs"]) == ("jobs", {"number": 1})


@pytest.mark.parametrize(("name", "value"), [("version", "0"), ("boot", "before"), ("processes", "pid:[1]")])
def test_a_map_of_no_use_is_replaced_when_nobody_uses_it(make_ipc, tmp_path, name, value):
    layer = make_ipc()
    layer.send("jobs", {})
    layer.store._close()
    rewrite(tmp_path, name, value)

    assert restarted(layer).receive(["jobs"]) == (None, None)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("version", "0", "of another version of channels: stop all of them"),
        ("boot", "before", "of another boot of this machine"),
        ("processes", "pid:[1]", "in another container"),
    ],
)
def test_a_map_that_cannot_be_shared_is_left_alone_while_others_use_it(
    make_ipc, tmp_path, another, name, value, reason
):
    process = another()
    rewrite(tmp_path, name, value)
    layer = make_ipc()

    with pytest.raises(ChannelLayerUnavailable, match=reason):
        layer.send("jobs", {})
    process.kill()
    process.communicate()
    layer.send("jobs", {})
    assert layer.receive(["jobs"]) == ("jobs", {})


def test_all_use_the_size_of_the_one_that_came_first_until_all_are_stopped(make_ipc, another, caplog):
    process = another()
    layer = make_ipc(size=2 * SIZE)
    first = layer.receive(["jobs"])
    size = layer.store.size
    process.kill()
    process.communicate()
    restarted(layer, size=2 * SIZE).send("jobs", {})

    assert first == ("jobs", {"from": "another"})
    assert (size, (layer.store.folder / "data.mdb").stat().st_size) == (SIZE, 2 * SIZE)
    assert [message for message in caplog.messages if "Stop all of them to change it" in message] != []


@pytest.mark.parametrize("content", [b"", b"rubbish" * 10_000])
def test_a_map_that_is_broken_is_replaced(make_ipc, tmp_path, content):
    layer = make_ipc()
    layer.send("jobs", {})
    layer.store._close()
    (tmp_path / "channels" / "data.mdb").write_bytes(content)

    layer = restarted(layer)
    layer.send("jobs", {"number": 2})
    assert layer.receive(["jobs"]) == ("jobs", {"number": 2})


def test_a_map_that_breaks_while_it_is_used_is_replaced(make_ipc):
    layer = make_ipc()
    layer.send("jobs", {})

    def fail(visit):
        raise environment.lmdb.CorruptedError("a page is gone")

    with pytest.raises(ChannelLayerUnavailable, match="a page is gone"):
        layer.store.visit(layer, fail)
    layer.send("jobs", {"number": 2})
    assert layer.receive(["jobs"]) == ("jobs", {"number": 2})


def test_a_reader_whose_bell_was_removed_gets_a_new_one(make_ipc, monkeypatch):
    monkeypatch.setattr("channels.layers.ipc.readers.LOOK_AGAIN", 0.1)
    monkeypatch.setattr("channels.layers.ipc.layer.LOOK_AGAIN", 0.1)
    layer = make_ipc(clock=time.monotonic)
    received = []
    reader = threading.Thread(target=lambda: received.append(layer.receive(["jobs"], block=True, timeout=10)))
    reader.start()
    names = set()
    deadline = time.monotonic() + 10
    while len(names) < 2:
        assert time.monotonic() < deadline
        for path in layer.store.folder.glob("bell-*"):
            names.add(path.name)
            if len(names) == 1:
                path.unlink()
        time.sleep(0.01)
    layer.send("jobs", {})
    reader.join()

    assert received == [("jobs", {})]


def test_a_map_that_was_not_finished_is_made_anew(make_ipc, tmp_path):
    layer = make_ipc()
    layer.send("jobs", {})
    layer.store._close()
    (tmp_path / "channels" / "about").unlink()

    assert restarted(layer).receive(["jobs"]) == (None, None)


def test_a_folder_that_is_deleted_under_those_who_use_it_is_made_anew(make_ipc, tmp_path, caplog):
    layer = make_ipc(clock=time.monotonic)
    asyncio.run(layer.renew_lease("reply.x!"))
    shutil.rmtree(tmp_path / "channels")

    reader = threading.Thread(target=lambda: received.append(layer.receive(["jobs"], block=True, timeout=10)))
    received = []
    reader.start()
    time.sleep(0.1)
    asyncio.run(layer.tend())
    lease = asyncio.run(layer.renew_lease("reply.x!"))
    layer.send("jobs", {"number": 1})
    reader.join()

    assert lease is Lease.NEW
    assert received == [("jobs", {"number": 1})]
    assert "are gone, and so is what was in them" in caplog.text


def test_whoever_only_sends_finds_a_folder_that_was_made_anew(make_ipc, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "_LOOK", 0.0)
    layer = make_ipc()
    layer.send("jobs", {"number": 1})
    shutil.rmtree(tmp_path / "channels")
    layer.send("jobs", {"number": 2})

    assert restarted(layer).receive(["jobs"]) == ("jobs", {"number": 2})


def test_threads_hang_their_bells_while_others_look_whether_all_are_there(make_ipc, monkeypatch):
    layer = make_ipc()
    layer.send("jobs", {})
    bells, found = [], []
    monkeypatch.setattr(layer.store.belfry, "is_whole", lambda: found.append(len(bells)) or True)

    def hang():
        looker = threading.Thread(target=layer.store.look_after)
        looker.start()
        looker.join(0.1)
        bells.append("bell")
        return "bell"

    monkeypatch.setattr(layer.store.belfry, "hang", hang)
    layer.store.new_bell()
    layer.store.look_after()

    assert found[:1] == [1]


def test_a_process_that_was_forked_opens_the_map_anew(make_ipc):
    layer = make_ipc(clock=time.monotonic)
    layer.send("jobs", {"number": 1})
    assert layer.receive(["mail"], block=True, timeout=0.01) == (None, None)
    child = os.fork()
    if child == 0:
        try:
            message = layer.receive(["jobs"], block=True, timeout=5)
            layer.send("mail", {"got": message[1]["number"]})
            waited = layer.receive(["more"], block=True, timeout=5)
            layer.send("mail", {"got": waited[1]["number"]})
        finally:
            os._exit(0)

    first = layer.receive(["mail"], block=True, timeout=10)
    layer.send("more", {"number": 2})
    second = layer.receive(["mail"], block=True, timeout=10)
    os.waitpid(child, 0)

    assert (first, second) == (("mail", {"got": 1}), ("mail", {"got": 2}))
    layer.send("jobs", {"number": 3})
    assert layer.receive(["jobs"]) == ("jobs", {"number": 3})


# A map that is full


@pytest.fixture
def small(make_ipc):
    """A layer whose map is soon full, and whose channels never are."""
    return make_ipc(capacity=10**6, size=2 * MIB, max_message_size=MIB // 2)


def fill(layer, size=100_000):
    """Send until nothing more is taken; return how many messages were."""
    number, at_once = 0, max(1, 10_000 // size)
    # More room may be left for one than for many.
    while True:
        numbers = range(number, number + at_once)
        refused = layer.send_many([layer.prepare("jobs", {"number": each, "bytes": b"x" * size}) for each in numbers])
        number += at_once - len(refused)
        if refused and at_once == 1:
            return number
        at_once = 1 if refused else at_once


@pytest.mark.parametrize("size", [100, 1_500, 3_000, 100_000, 400_000])
def test_a_full_map_refuses_messages_as_a_full_channel_does_and_works_again_when_they_are_read(small, size):
    for _ in range(3):
        taken = fill(small, size)
        with pytest.raises(ChannelFull, match=r"map of the IPC channel layer in .* \(2 MiB\) is full.*size="):
            small.send("mail", {"bytes": b"x" * size})
        assert [small.receive(["jobs"])[1]["number"] for _ in range(taken)] == list(range(taken))
        assert small.receive(["jobs"]) == (None, None)


def test_a_full_map_has_room_for_what_is_no_message(small):
    fill(small, 10)

    small.group_add("room", "reply.x!1")
    asyncio.run(small.renew_lease("reply.x!"))
    asyncio.run(small.set_wills("reply.x!", [("1", small.prepare("websocket.disconnect", {}))]))
    small.renew_worker("one", [])
    small.send_group("room", {})

    assert small.group_channels("room") == ["reply.x!1"]
    assert small.channel_statistics("reply.x!1")["dropped"] == {"full, group message": 1}


def test_what_is_no_message_is_refused_before_nothing_can_be_read_any_more(small):
    fill(small, 10)
    with pytest.raises(ChannelLayerUnavailable, match="is full"):
        for number in range(0, 10**6, 100):
            some = [("room", str(each)) for each in range(number, number + 100)]
            asyncio.run(small.renew_groups("reply.x!", some))

    assert small.receive(["jobs"])[1]["number"] == 0
    small.flush()
    small.send("jobs", {})
    assert small.receive(["jobs"]) == ("jobs", {})


def test_space_that_cannot_be_reserved_is_told_and_tried_again(make_ipc, monkeypatch):
    layer = make_ipc()

    def refuse(descriptor, start, size):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(os, "posix_fallocate", refuse)
        with pytest.raises(ChannelLayerUnavailable, match=r"needs 8 MiB in .*, where .* MiB are free"):
            layer.send("jobs", {})
    layer.send("jobs", {})

    assert layer.receive(["jobs"]) == ("jobs", {})


def test_where_space_cannot_be_reserved_the_map_is_written_in_the_other_way(make_ipc, monkeypatch):
    monkeypatch.setattr(folder, "_RESERVING", ())
    layer = make_ipc(capacity=10**6)
    taken = fill(layer)

    assert [layer.receive(["jobs"])[1]["number"] for _ in range(taken)] == list(range(taken))
    assert (layer.store.folder / "data.mdb").stat().st_blocks * 512 < SIZE
