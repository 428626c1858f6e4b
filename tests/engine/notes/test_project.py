"""The project files of the notes: settings with the old dotted path, routing, ``asgi.py``, and channels to read."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from channels.values.patterns import filter_channels

ENGINE = Path(__file__).parents[3] / "{{cookiecutter.project_slug}}"
FILES = {
    "my_project/__init__.py": "",
    "my_project/settings.py": """
SECRET_KEY = "not a secret"
INSTALLED_APPS = (
    'django.contrib.auth',
    'django.contrib.contenttypes',
    'django.contrib.sessions',
    'django.contrib.sites',
    'channels',
)
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "asgiref.inmemory.ChannelLayer",
        "ROUTING": "my_project.routing.channel_routing",
    },
}
""",
    "my_project/routing.py": """
from channels.routing import route

channel_routing = [
    route("http.request", "myapp.consumers.http_consumer"),
]
""",
    "my_project/asgi.py": """
import os
from channels.asgi import get_channel_layer
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "my_project.settings")
channel_layer = get_channel_layer()
""",
    "myapp/__init__.py": "",
    "myapp/consumers.py": """
from django.http import HttpResponse
from channels.handler import AsgiHandler

def http_consumer(message):
    response = HttpResponse("Hello world! You asked for %s" % message.content['path'])
    for chunk in AsgiHandler.encode_response(response):
        message.reply_channel.send(chunk)
""",
}


@pytest.fixture
def run_in_project(tmp_path):
    """Return a function that runs Python in the project of the notes, and returns what it prints."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    def run(code):
        code = f"import sys; sys.path.insert(0, {str(ENGINE)!r}); {code}"
        return subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env={}, check=True, capture_output=True, text=True
        ).stdout

    return run


def test_the_project_answers_a_request(run_in_project):
    printed = run_in_project("""
from my_project.asgi import channel_layer
import django, json
django.setup()
from channels.worker import Worker
channel_layer.send("http.request", {"path": "/books/", "reply_channel": "reply.test!1"})
assert Worker(channel_layer).step()
print(json.dumps(channel_layer.receive(["reply.test!"])[1]["content"].decode()))
""")

    assert json.loads(printed) == "Hello world! You asked for /books/"


def test_the_project_passes_the_system_checks(run_in_project):
    printed = run_in_project("""
import django.core.management
django.core.management.execute_from_command_line(["manage.py", "check", "--settings=my_project.settings"])
""")

    assert printed == "System check identified no issues (0 silenced).\n"


ROUTED = ["http.disconnect", "http.request", "thumbnail", "websocket.connect"]


def test_a_worker_may_read_some_channels_only():
    assert filter_channels(ROUTED, only=["http.*", "websocket.*"]) == [
        "http.disconnect",
        "http.request",
        "websocket.connect",
    ]


def test_a_worker_may_leave_channels_out():
    assert filter_channels(ROUTED, exclude=["thumbnail"]) == ["http.disconnect", "http.request", "websocket.connect"]
