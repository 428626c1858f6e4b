"""What the tests of the engine share: a site on a fresh layer, and a database that threads can share."""

import contextlib

import pytest
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connection, connections

from channels import channel_layers
from channels.handler import ViewConsumer
from channels.layers.inmemory import InMemoryChannelLayer
from channels.registry import ChannelLayerWrapper
from channels.worker import deadlines

from .sites import Site


@pytest.fixture(autouse=True)
def nothing_is_left_over():
    """Forget what a test has put off until later, and what it has cached."""
    yield
    deadlines._own.heap.clear()
    cache.clear()


@pytest.fixture
def make_site(db):
    """Return a function that puts a site with a routing under an alias, on a fresh layer with some configuration."""
    with contextlib.ExitStack() as stack:
        # Requests close old connections, and with them the transaction that the test runs in.
        for signal in (request_started, request_finished):
            signal.disconnect(close_old_connections)
            stack.callback(signal.connect, close_old_connections)

        def make(routing=(), alias="default", layer=None, default_routes=False, **config):
            wrapper = ChannelLayerWrapper(layer or InMemoryChannelLayer(**config), alias, routing)
            stack.callback(channel_layers.set, alias, channel_layers.set(alias, wrapper))
            if default_routes:
                # A view consumer of its own: the engine's keeps the middleware that it has loaded once.
                wrapper.router.check_default(ViewConsumer())
            return Site(wrapper)

        yield make


@pytest.fixture
def threaded_db(request, django_db_setup, django_db_blocker, tmp_path):
    """Give a database that threads can share, which SQLite's in-memory one is not; it has a table of sessions."""
    if connection.vendor != "sqlite":
        request.getfixturevalue("transactional_db")
        yield
        return
    shared, config = connections["default"], connections.settings["default"]
    name = config["NAME"]
    with django_db_blocker.unblock():
        config["NAME"] = tmp_path / "threads.sqlite3"
        connections["default"] = connections.create_connection("default")
        with connections["default"].schema_editor() as editor:
            editor.create_model(Session)
        yield
        connections["default"].close()
        connections["default"], config["NAME"] = shared, name


@pytest.fixture
def views(settings):
    """Let requests go to the views of these tests, with no middleware around them."""
    settings.ROOT_URLCONF = "tests.engine.views"
    settings.MIDDLEWARE = []
    settings.TEMPLATES = []
