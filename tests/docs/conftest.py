"""What the code of the documents runs on: a fresh layer, and a site whose host is chat.example."""

import importlib
import sys

import pytest
from django.apps import apps
from django.db import connection

from channels import route
from channels.binding.base import BindingMetaclass

from ..engine.conftest import make_site, nothing_is_left_over  # noqa: F401
from ..engine.sites import Socket
from .pages import program, steps_of

HOST = "chat.example"


@pytest.fixture(autouse=True)
def fresh_site(make_site, settings):  # noqa: F811
    # As for all tests, browsers of the test kit are at a host of that name.
    settings.ALLOWED_HOSTS = [HOST, "testserver"]
    make_site()


@pytest.fixture(autouse=True)
def bindings_end_with_their_test():
    """A page may bind the models of the chat, which goes on being tested after that."""
    before = list(BindingMetaclass.binding_classes)
    yield
    for binding in BindingMetaclass.binding_classes[len(before) :]:
        binding.unregister()


@pytest.fixture
def serve(make_site):  # noqa: F811
    """
    Return a function that makes a site of a block; name the page, and what the block defines.

    The block's own routing counts. A consumer without one gets the messages of the channel that is named.
    """

    def serve(page, name, channel=None):
        block = program(page, name)
        routing = block.channel_routing if channel is None else [route(channel, getattr(block, name))]
        return make_site(routing, default_routes=True)

    return serve


@pytest.fixture
def open_socket():
    """Return a function that gives a browser's socket to a site, from one of its own pages unless said otherwise."""

    def open_socket(site, path="/hall/", origin=f"http://{HOST}", cookie=""):
        headers = [[b"origin", origin.encode()], [b"cookie", cookie.encode()]]
        return Socket(site, path, headers=headers)

    return open_socket


@pytest.fixture
def write_step(make_site, settings, tmp_path, monkeypatch):  # noqa: F811
    """
    Return a function that writes the files of a project as they are after a step of a page, and makes a site of them.

    The app is installed, with the tables of its models if it has any: then the test needs a database of its own.
    """
    written = []

    def write_step(page, step):
        files = steps_of(page)[step]
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text)
        [app] = {name.split("/")[0] for name in files} - {"config"}
        monkeypatch.syspath_prepend(tmp_path)
        written.append(app)
        settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, app]
        for model in apps.get_app_config(app).get_models():
            with connection.schema_editor() as editor:
                editor.create_model(model)
        autodiscovered = tmp_path / app / "binding.py"
        if autodiscovered.exists():
            importlib.import_module(f"{app}.binding")
        names = {}
        exec(files["config/routing.py"], names)
        return make_site(names["channel_routing"], default_routes=True)

    yield write_step
    for app in written:
        for model in apps.get_app_config(app).get_models():
            with connection.schema_editor() as editor:
                editor.delete_model(model)
        del apps.all_models[app]
        for name in [name for name in sys.modules if name.partition(".")[0] == app]:
            del sys.modules[name]
