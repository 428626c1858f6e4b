"""Where workers run beside an interface server, delayed messages are sent there, too."""

import queue
import threading

import pytest

from channels import Channel, channel_layers, route
from channels.layers.inmemory import InMemoryChannelLayer
from channels.registry import ChannelLayerWrapper
from channels.worker import start_embedded_workers

from ...services import free_port


@pytest.fixture
def start(request):
    """Return a function that starts workers for some routes on the layer default."""

    def start(*routes):
        wrapper = ChannelLayerWrapper(InMemoryChannelLayer(), "default", routes)
        old = channel_layers.set("default", wrapper)
        request.addfinalizer(lambda: channel_layers.set("default", old))
        return start_embedded_workers(wrapper, 1)

    return start


def test_workers_beside_a_server_send_delayed_messages(delay_app, start):
    arrived = queue.Queue()
    group = start(route("later", lambda message: arrived.put(message.content)))
    Channel("later").send({"data": b"\xff"}, delay=0.1)

    assert arrived.get(timeout=20) == {"data": b"\xff"}
    assert group.stop(timeout=20)


def test_what_the_last_consumer_sends_with_a_delay_is_stored_before_the_end(delay_app, start):
    begun, may_end = threading.Event(), threading.Event()

    def consumer(message):
        Channel("later").send({}, delay=60)
        begun.set()
        may_end.wait(20)

    group = start(route("work", consumer))
    Channel("work").send({})
    assert begun.wait(20)
    group.begin_stop(drain=True)
    may_end.set()

    assert group.join(timeout=20)
    assert delay_app.objects.get().channel_name == "later"


def test_without_the_app_nothing_reads_the_channel(start):
    group = start()
    channel_layers["default"].send("asgi.delay", {})

    assert group.stop(timeout=20)
    assert channel_layers["default"].receive(["asgi.delay"]) == ("asgi.delay", {})


def test_runserver_with_the_layer_in_memory_sends_them(memory_site):
    server = memory_site.start("runserver", "--noreload", str(port := free_port()))
    server.port = port
    server.wait_until(lambda: "worker threads read" in server.log)
    server.wait_until(lambda: "Listening on" in server.log or "Starting" in server.log)

    assert server.fetch("/later/")[:2] == (200, b"later")
    server.wait_for_note("It is later now")


def test_rundelay_refuses_the_layer_in_memory_and_says_who_sends_them_there(memory_site):
    process = memory_site.start("rundelay")

    assert process.process.wait(30) == 2, process.log
    assert "send delayed messages themselves" in process.log
