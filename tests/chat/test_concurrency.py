"""Many workers save what one person says, on the databases a site can have."""

import json

import pytest

from ..baking import Baker, copy_repository, run
from ..services import postgresql_server

# Eight threads, each like a worker: what they say at the same moment, and what came of it.
SCRIPT = """
import json, threading, uuid
from django.contrib.auth import get_user_model
from django.db import connection
from chat.models import Message, Room, TooFast

anna = get_user_model().objects.create_user("anna")
room = Room.objects.create(name="Boat shed")
same = uuid.uuid4()
results = []
start = threading.Barrier(8)

def say_the_same():
    start.wait()
    results.append(Message.objects.say(room, anna, "Hello", same)[1])
    connection.close()

def say_a_lot():
    start.wait()
    for _ in range(5):
        try:
            Message.objects.say(room, anna, "Hello", uuid.uuid4())
        except TooFast:
            pass
    connection.close()

for target in (say_the_same, say_a_lot):
    threads = [threading.Thread(target=target) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]

print("RESULT", json.dumps([sorted(results), Message.objects.count()]))
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    template = copy_repository(tmp_path_factory.mktemp("repository") / "chan-template")
    return Baker(template, tmp_path_factory.mktemp("concurrency"))(database="postgres")


@pytest.fixture(scope="module")
def postgresql():
    with postgresql_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def database(request, tmp_path):
    if request.param == "postgres":
        return request.getfixturevalue("postgresql")
    return f"sqlite:///{tmp_path}/db.sqlite3"


def test_nothing_is_saved_twice_and_the_rate_is_exact(project, database):
    run(project, "manage.py", "migrate", DATABASE_URL=database)
    done = run(project, "manage.py", "shell", "-c", SCRIPT, DATABASE_URL=database)
    [result] = [line for line in done.stdout.splitlines() if line.startswith("RESULT")]

    assert json.loads(result.removeprefix("RESULT")) == [[False] * 7 + [True], 10]


# Workers at work, each message with a query; and what the database sees of that.
WORKERS = """
import json, time
from django.db import connection
from channels import channel_layers, route
from channels.routing import Router
from channels.worker import WorkerGroup

seen = []

def ask(message):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid(), count(*) FROM pg_stat_activity WHERE datname = current_database()")
        seen.append(cursor.fetchone())

layer = channel_layers["default"]
layer.router = Router([route("ask", ask)])
group = WorkerGroup(layer, 4)
group.start()
for number in range(200):
    while number - len(seen) > 50:
        time.sleep(0.001)
    layer.send("ask", {})
while len(seen) < 200:
    time.sleep(0.001)
group.stop()
print("RESULT", json.dumps([len({process for process, _ in seen}), max(count for _, count in seen)]))
"""


def test_each_worker_thread_keeps_its_connection_under_load(project, postgresql):
    done = run(project, "manage.py", "shell", "-c", WORKERS, DATABASE_URL=postgresql)
    [result] = [line for line in done.stdout.splitlines() if line.startswith("RESULT")]

    connections, at_a_time = json.loads(result.removeprefix("RESULT"))
    assert connections <= 4
    assert at_a_time <= 4
