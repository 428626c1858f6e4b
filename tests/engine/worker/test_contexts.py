"""What a message finds of the messages before it in its thread: nothing."""

import contextvars
import decimal
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from django.core.cache import caches
from django.http import HttpResponse
from django.urls import get_urlconf, path, reverse, set_urlconf
from django.utils import timezone, translation
from django.utils.formats import localize
from django.utils.translation import gettext

import channels
from channels import Channel, ConsumeLater, route
from channels.exceptions import ChannelSocketException
from channels.signals import consumer_finished, consumer_started
from channels.worker import Worker, WorkerGroup
from channels.worker.contexts import new_context

mark = contextvars.ContextVar("mark", default="clean")


def page(request):
    """Leave behind all that a view may: beside what its request is about, a time zone and context variables."""
    timezone.activate("Asia/Tokyo")
    mark.set("left behind")
    decimal.getcontext().prec = 3
    text = f"{gettext('Monday')} {reverse(page)}"
    set_urlconf("tests.engine.views")
    return HttpResponse(text)


urlpatterns = [path("page/", page, name="page")]


def state():
    """Return what a consumer finds."""
    return {
        "text": gettext("Monday"),
        "number": localize(1234.5),
        "zone": timezone.get_current_timezone_name(),
        "url": reverse(page, "tests.engine.worker.test_contexts"),
        "urlconf": get_urlconf(),
        "mark": mark.get(),
        "precision": decimal.getcontext().prec,
    }


CLEAN = {
    "text": "Monday",
    "number": "1234.5",
    "zone": "UTC",
    "url": "/page/",
    "urlconf": None,
    "mark": "clean",
    "precision": 28,
}


def make_dirty(*args, **kwargs):
    translation.activate("de")
    timezone.activate("Asia/Tokyo")
    mark.set("left behind")
    decimal.getcontext().prec = 3
    set_urlconf("tests.engine.views")


@pytest.fixture
def german(settings):
    """Let pages speak the language of their visitor; sockets speak that of the site."""
    settings.ROOT_URLCONF = "tests.engine.worker.test_contexts"
    settings.MIDDLEWARE = ["django.middleware.locale.LocaleMiddleware"]
    settings.LANGUAGES = [("en", "English"), ("de", "Deutsch")]
    settings.LANGUAGE_CODE, settings.TIME_ZONE, settings.USE_I18N = "en-us", "UTC", True


@pytest.fixture
def tell(german):
    """Return the states that the consumer ``tell`` has found, and this consumer."""
    states = []
    return states, lambda message, **kwargs: states.append(state())


def visit(site, path="/page/", **content):
    """Have a German visitor see a page."""
    headers = [[b"host", b"testserver"], [b"accept-language", b"de"]]
    [reply] = site.request(path, headers=headers, **content)
    return reply["content"].decode()


# The next message


def test_after_a_page_for_a_german_visitor_a_socket_gets_the_language_and_time_zone_of_the_site(make_site, tell):
    states, consumer = tell
    site = make_site([route("websocket.receive", consumer)], default_routes=True)

    assert visit(site) == "Montag /page/"
    site.consume("websocket.receive")
    assert states == [CLEAN]


def test_so_it_is_in_a_worker_thread(make_site, tell):
    states, consumer = tell

    def dirty(message):
        make_dirty()
        Channel("tell").send({})

    site = make_site([route("dirty", dirty), route("tell", consumer)])
    group = WorkerGroup(site.layer, 1)
    group.start()
    site.layer.send("dirty", {})
    group.stop(drain=True, timeout=30)

    assert states == [CLEAN]


@pytest.mark.parametrize("kind", ["consumer", "started", "finished", "callback", "route", "socket", "later"])
def test_nothing_is_left_by_whatever_runs_with_a_message(make_site, tell, kind):
    states, consumer = tell

    class Dirty(ChannelSocketException):
        def run(self, message):
            make_dirty()

    class DirtyRoute:
        def channel_names(self):
            return {"dirty"}

        def match(self, message):
            if message.channel.name == "dirty" and kind == "route":
                make_dirty()

    def dirty(message):
        if kind == "consumer":
            make_dirty()
        if kind == "socket":
            raise Dirty
        if kind == "later" and not states:
            states.append("later")
            make_dirty()
            raise ConsumeLater
        if kind == "later":
            states[:] = []

    def receiver(message, **kwargs):
        if message.channel.name == "dirty":
            make_dirty()

    site = make_site([DirtyRoute(), route("dirty", dirty), route("tell", consumer)])
    if kind == "callback":
        site.worker = Worker(site.layer, callback=lambda name, message: name == "dirty" and make_dirty())
    signals = {"started": consumer_started, "finished": consumer_finished}
    if kind in signals:
        signals[kind].connect(receiver)
    try:
        site.consume("dirty")
        site.consume("tell")
    finally:
        consumer_started.disconnect(receiver)
        consumer_finished.disconnect(receiver)

    assert states == [CLEAN]
    assert state() == CLEAN, "a worker that waits carries nothing"


def test_the_signals_and_the_consumer_of_one_message_share_their_context(make_site):
    found = []

    def started(message, **kwargs):
        mark.set("of this message")

    def finished(message, **kwargs):
        found.append(mark.get())

    consumer_started.connect(started)
    consumer_finished.connect(finished)
    try:
        make_site([route("tell", lambda message: found.append(mark.get()))]).consume("tell")
    finally:
        consumer_started.disconnect(started)
        consumer_finished.disconnect(finished)

    assert found == ["of this message"] * 2


def test_the_caches_of_a_thread_are_not_made_anew_for_each_message(make_site):
    found = []
    site = make_site([route("tell", lambda message: found.append(caches["default"]))])
    site.consume("tell")
    site.consume("tell")

    assert found[0] is found[1]


def test_a_cache_that_cannot_be_made_costs_only_who_uses_it(settings):
    settings.CACHES = {"default": {"BACKEND": "no.such.Cache"}, "other": settings.CACHES["default"]}
    found = []

    def use():
        context = new_context()
        found.append(context.run(lambda: caches["other"]))
        found.append(new_context().run(lambda: caches["other"]))

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()

    assert found[0] is found[1]


def test_workers_beside_an_interface_server_carry_nothing_of_the_connection_that_started_them(make_site):
    found, told = [], threading.Event()

    class Starter(threading.Thread):
        """Carries the context of whoever starts it, as an error tracker has threads do."""

        def start(self):
            found.append(mark.get())
            super().start()

    site = make_site([route("tell", lambda message: told.set())])
    group = WorkerGroup(site.layer, 1)
    group._threads = [Starter(target=thread._target, args=thread._args) for thread in group._threads]
    context = contextvars.copy_context()
    context.run(mark.set, "of a visitor")
    context.run(group.start)
    group.stop(timeout=30)

    assert found == ["clean"]


# The script prefix


@pytest.mark.parametrize("channel", ["websocket.connect", "websocket.receive", "websocket.disconnect", "own.channel"])
@pytest.mark.parametrize(
    ("forced", "root_path", "url"),
    [
        (None, None, "/page/"),
        (None, "", "/page/"),
        (None, "/app", "/app/page/"),
        ("/forced", None, "/forced/page/"),
        ("/forced", "", "/forced/page/"),
        # As for a page.
        ("/forced", "/app", "/forced/page/"),
        # In a message of a project's own it may mean something else.
        (None, b"/app", "/page/"),
        (None, 7, "/page/"),
    ],
)
def test_urls_are_reversed_below_the_root_path_of_their_connection(
    make_site, tell, settings, channel, forced, root_path, url
):
    states, consumer = tell
    settings.FORCE_SCRIPT_NAME = forced
    site = make_site([route(channel, consumer)])
    site.consume(channel, **({} if root_path is None else {"root_path": root_path}))

    assert states[0]["url"] == url


def test_a_page_below_a_root_path_leaves_it_to_nobody(make_site, tell):
    states, consumer = tell
    site = make_site([route("websocket.receive", consumer)], default_routes=True)

    assert visit(site, path="/app/page/", root_path="/app") == "Montag /app/page/"
    site.consume("websocket.receive")
    site.consume("websocket.receive", root_path="/other")
    site.consume("websocket.receive")
    assert [state["url"] for state in states] == ["/page/", "/other/page/", "/page/"]


# Error trackers

TRACKED = """
import json, logging, threading
import django
from django.conf import settings
import sentry_sdk
from sentry_sdk.transport import Transport

events = []

class Recording(Transport):
    def capture_envelope(self, envelope):
        events.extend(item.payload.json for item in envelope.items if item.type == "event")

sentry_sdk.init(dsn="https://key@localhost/1", transport=Recording, send_default_pii=True, traces_sample_rate=1.0)
settings.ROOT_URLCONF = "__main__"
settings.MIDDLEWARE = []
django.setup()

from accounts.models import User
from django.http import HttpResponse
from django.urls import path
from channels import channel_layers, route
from channels.registry import ChannelLayerWrapper
from channels.layers.inmemory import InMemoryChannelLayer
from channels.worker import Worker, prepare_router

kept = []

def page(request):
    request.user = User(pk=7, username="anna", email="anna@example.com")
    # Something may keep it for a while.
    kept.append(request)
    sentry_sdk.set_tag("room", "kitchen")
    sentry_sdk.set_user({"id": "7", "username": "anna"})
    logging.getLogger("shop").warning("Anna buys a present")
    if request.GET:
        raise RuntimeError("of Anna")
    return HttpResponse("Hello")

urlpatterns = [path("page/", page, name="page")]

def fail(message):
    logging.getLogger("chat").warning("Somebody says something")
    raise ValueError("of nobody")

class NoRoute:
    def channel_names(self):
        return {"odd"}

    def match(self, message):
        if message.channel.name == "odd":
            raise LookupError("of nobody")

def say(message):
    sentry_sdk.set_user({"id": "8", "username": "bob"})
    raise ValueError("of Bob")

routing = [NoRoute(), route("websocket.receive", fail), route("websocket.connect", say)]
layer = ChannelLayerWrapper(InMemoryChannelLayer(), "default", routing)
channel_layers.set("default", layer)
prepare_router(layer)

def work():
    worker = Worker(layer)
    headers = [[b"host", b"localhost"], [b"cookie", b"sessionid=secret"]]
    request = {"reply_channel": "reply.x!1", "method": "GET", "path": "/page/", "headers": headers}
    for channel, content in [
        ("http.request", request),
        ("websocket.receive", {}),
        ("odd", {}),
        ("websocket.connect", {}),
        ("websocket.receive", {}),
        ("http.request", {**request, "query_string": b"fail=1"}),
        ("websocket.receive", {}),
    ]:
        layer.send(channel, content)
        assert worker.step()

thread = threading.Thread(target=work)
thread.start()
thread.join()
sentry_sdk.flush()
print(json.dumps([
    {
        "error": event["exception"]["values"][-1]["value"],
        "user": event.get("user", {}).get("username"),
        "email": event.get("user", {}).get("email"),
        "transaction": event.get("transaction"),
        "tags": event.get("tags", {}).get("room"),
        "breadcrumbs": [
            crumb["message"] for crumb in event["breadcrumbs"]["values"] if crumb["category"] in ("shop", "chat")
        ],
    }
    for event in events
    if "exception" in event
]))
"""


def test_an_error_report_tells_of_the_visitor_whose_message_has_failed_and_of_no_other():
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-c", TRACKED],
        cwd=Path(channels.__file__).parents[1],
        env=kept | {"DJANGO_SETTINGS_MODULE": "config.testing", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr

    def report(error, user=None, email=None, room=None, breadcrumbs=(), page=None):
        return {
            "error": error,
            "user": user,
            "email": email,
            "transaction": page,
            "tags": room,
            "breadcrumbs": [*breadcrumbs],
        }

    nobody = report("of nobody", breadcrumbs=["Somebody says something"])
    assert json.loads(done.stdout) == [
        nobody,
        report("of nobody"),
        report("of Bob", "bob"),
        nobody,
        report("of Anna", "anna", "anna@example.com", "kitchen", ["Anna buys a present"], "/page/"),
        nobody,
    ]
