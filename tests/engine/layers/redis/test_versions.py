"""Processes of two versions on one store, as during a deploy: what to restart is said once, and no socket hangs."""

import asyncio
import re
import signal
import subprocess
import sys

import pytest

from channels.interface import lane_watch
from channels.interface.application import InterfaceApplication, no_workers
from channels.interface.limits import Limits
from channels.layers import envelope
from channels.layers.base import Finish, Send

from ....baking import FOLDER, REPOSITORY, clean_environment
from ...interface.interface_server import Socket

WORKER = """
import sys
from channels.layers import envelope
envelope.VERSION = int(sys.argv[1])
import django
from django.conf import settings
from django.core.management import call_command
from channels import route
config = {"hosts": [("127.0.0.1", int(sys.argv[2]))], "prefix": sys.argv[3]}
layer = {"BACKEND": "channels.layers.redis.RedisChannelLayer", "CONFIG": config, "ROUTING": [route(sys.argv[4], print)]}
settings.configure(CHANNEL_LAYERS={"default": layer}, INSTALLED_APPS=["channels"], DATABASES={}, LOGGING_CONFIG=None)
django.setup()
call_command("runworker", "--threads", "1", "--only-channels", sys.argv[4])
"""
ADVICE = "Restart the interface servers and the workers, so that all run the same."
OTHER_VERSIONS = [envelope.VERSION - 1, envelope.VERSION + 1]


@pytest.fixture(autouse=True)
def signal_handlers():
    """Interface servers listen to signals: leave the test run's own handlers as they were."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def start_worker(valkey, prefix, tmp_path):
    """Return a function that starts a worker of another version for one channel; it returns a function that ends it."""
    environment = clean_environment() | {"PYTHONPATH": str(REPOSITORY / FOLDER)}
    processes = []

    def start(version, channel):
        log = (tmp_path / "log").open("w+")
        command = [sys.executable, "-c", WORKER, str(version), str(valkey.port), prefix, channel]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        processes.append(process)

        def end():
            process.terminate()
            process.wait(10)
            log.seek(0)
            return log.read()

        return end

    yield start
    for process in processes:
        process.kill()
        process.wait()


async def eventually(condition):
    async with asyncio.timeout(15):
        while not condition():
            await asyncio.sleep(0.01)


def connect(layer):
    """Begin to open a socket at an interface server."""
    application = InterfaceApplication(layer, Limits(handshake_timeout=0.5), no_workers, "")
    socket = Socket({"type": "websocket", "path": "/"})
    socket.says({"type": "websocket.connect"})
    socket.task = asyncio.create_task(application(socket.scope, socket.receive, socket.send))
    return socket


async def connected(layer, keeps_order):
    """Return a socket that a consumer of the same version has accepted."""
    socket = connect(layer)
    found = []
    await eventually(lambda: found.append(layer.receive(["websocket.connect"])[1]) or found[-1])
    accept = layer.prepare(found[-1]["reply_channel"], {"accept": True})
    await layer.send_many_async([accept._replace(finish=Finish(0, keeps_order=keeps_order))])
    await eventually(lambda: socket.sent)
    return socket


@pytest.fixture
def direct_watch(monkeypatch):
    """Have lost messages found soon."""
    for name, seconds in {"INTERVAL": 0.1, "PATIENCE": 0.2, "CERTAINTY": 0.3}.items():
        monkeypatch.setattr(lane_watch, name, seconds)


@pytest.mark.parametrize("version", OTHER_VERSIONS)
def test_a_socket_whose_connect_message_the_other_version_has_taken_is_rejected(direct, start_worker, version):
    end = start_worker(version, "websocket.connect")

    async def open_some():
        sockets = [connect(direct) for _ in range(5)]
        await eventually(lambda: all(socket.sent for socket in sockets))
        await eventually(lambda: not direct.channel_statistics("websocket.connect")["messages_pending"])
        return [socket.sent for socket in sockets]

    sent = asyncio.run(open_some())
    [warning] = [line for line in end().splitlines() if "unreadable" in line]

    assert sent == [[{"type": "websocket.close", "code": 1000}]] * 5
    assert f"has version {envelope.VERSION}, this process reads version {version}" in warning
    assert ADVICE in warning


def test_a_socket_that_keeps_order_is_closed_when_the_other_version_has_taken_its_message(
    direct, start_worker, direct_watch
):
    end = start_worker(OTHER_VERSIONS[1], "websocket.receive")

    async def lose_one():
        socket = await connected(direct, keeps_order=True)
        socket.writes(text="lost")
        await eventually(lambda: len(socket.sent) > 1)
        return socket.sent[1:]

    assert asyncio.run(lose_one()) == [{"type": "websocket.close", "code": 1013}]
    assert end().count(ADVICE) == 1


def test_another_goes_on_when_all_run_the_same(direct, start_worker, direct_watch):
    end = start_worker(OTHER_VERSIONS[0], "websocket.receive")

    def figures(*names):
        found = direct.channel_statistics("websocket.receive")
        return [found[name] for name in names]

    async def lose_one():
        socket = await connected(direct, keeps_order=False)
        socket.writes(text="lost")
        await eventually(lambda: figures("messages_count", "messages_pending") == [1, 0])
        log = end()
        socket.writes(text="next")
        found = []
        await eventually(lambda: found.append(direct.receive(["websocket.receive"])[1]) or found[-1])
        return log, found[-1], socket.sent[1:]

    log, message, sent = asyncio.run(lose_one())
    assert (message["text"], sent) == ("next", [])
    assert log.count(ADVICE) == 1


@pytest.mark.parametrize("version", OTHER_VERSIONS)
def test_what_workers_of_the_other_version_send_is_missed_and_the_interface_server_says_why_once(
    direct, monkeypatch, caplog, version
):
    with monkeypatch.context() as patch:
        patch.setattr(envelope, "VERSION", version)
        foreign = [direct.prepare("reply.x!1", {"number": number}) for number in range(3)]
        foreign.append(Send("reply.x!1", None, finish=Finish(7)))
        assert direct.send_many(foreign) == []
    direct.send("reply.x!1", {"number": 3})

    entries = asyncio.run(direct.read_queue("reply.x!"))

    assert [entry.content for entry in entries] == [{"number": 3}]
    [warning] = [message for message in caplog.messages if "unreadable" in message]
    assert re.search(f"has version {version}, this process reads version {envelope.VERSION}.*{ADVICE}", warning)
