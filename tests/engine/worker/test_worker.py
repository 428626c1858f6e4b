import gc
import logging
import threading

import pytest

from channels import Channel, route
from channels.layers.inmemory import InMemoryChannelLayer
from channels.sessions import channel_session
from channels.values import pauses as pauses_module
from channels.worker import Worker, WorkerGroup, prepare_router, start_embedded_workers, worker

from ..sites import Site, Socket


def messages_of(caplog, level=logging.WARNING):
    return [record.getMessage() for record in caplog.records if record.levelno >= level]


# One step


def test_a_step_runs_the_consumer_of_one_message_with_what_its_route_has_captured(make_site):
    calls = []

    def consumer(message, room):
        calls.append((message["path"], room))

    site = make_site([route("websocket.receive", consumer, path=r"^/(?P<room>\w+)/$")])
    site.layer.send("websocket.receive", {"path": "/kitchen/"})
    site.layer.send("websocket.receive", {"path": "/garden/"})

    assert site.worker.step() is True
    assert calls == [("/kitchen/", "kitchen")]
    assert site.worker.step() is True
    assert site.worker.step() is False


def test_a_callback_is_called_before_each_consumer(make_site):
    calls = []
    site = make_site([route("thumbnail", lambda message: calls.append("consumer"))])
    site.worker = Worker(site.layer, callback=lambda name, message: calls.append((name, message["size"])))
    site.consume("thumbnail", size=100)

    assert calls == [("thumbnail", 100), "consumer"]


def test_a_worker_reads_the_channels_of_its_routes_and_no_others(make_site):
    routing = [route("http.request", print), route(["thumbnail.big", "thumbnail.small"], print)]
    layer = make_site(routing).layer

    assert Worker(layer).channels == ["http.request", "thumbnail.big", "thumbnail.small"]
    assert Worker(layer, only_channels=["thumbnail.*"]).channels == ["thumbnail.big", "thumbnail.small"]
    assert Worker(layer, exclude_channels=["*.big", "http.*"]).channels == ["thumbnail.small"]


def test_a_message_with_a_session_leaves_no_garbage_that_has_to_be_looked_for(make_site):
    @channel_session
    def consumer(message):
        message.channel_session["a"] = 1

    site = make_site([route("websocket.receive", consumer)])
    socket = Socket(site)
    for _ in range(2):
        socket.put("websocket.receive")
    site.worker._turn(0.0)
    gc.collect()
    site.worker._turn(0.0)
    left = gc.collect()

    assert (left, socket.received(), socket.session) == (0, [], {"a": 1})


# Messages that fit nowhere


def test_a_message_that_no_route_takes_is_counted_and_logged_once(make_site, caplog):
    site = make_site([route("websocket.receive", print, path="^/chat/")], capacity=1000)
    for number in range(1000):
        site.layer.send("websocket.receive", {"path": f"/{number}"})
    site.work()

    assert site.layer.channel_statistics("websocket.receive")["dropped"] == {"no route": 1000}
    [warning] = messages_of(caplog)
    assert "websocket.receive dropped so far (no route)" in warning
    assert "for path '/0'. Add one to the ROUTING" in warning


def test_a_message_with_a_reply_channel_that_is_no_name_is_dropped(make_site, caplog):
    site = make_site([route("websocket.receive", print)])
    site.layer.send("websocket.receive", {"reply_channel": "no name", "text": "secret"})
    site.work()

    [text] = messages_of(caplog)
    assert text == ("A message on websocket.receive could not be routed and is dropped: ['reply_channel', 'text']")


def test_a_route_that_fails_costs_its_message_and_no_more(make_site, caplog):
    class Broken:
        def channel_names(self):
            return {"thumbnail"}

        def match(self, message):
            if message.channel.name == "thumbnail":
                raise RuntimeError("the route failed")

    runs = []
    site = make_site([Broken(), route("next", runs.append)])
    site.consume("thumbnail")
    site.consume("next")

    assert len(runs) == 1
    assert "the route failed" in caplog.text


# A layer that fails


class FailingLayer(InMemoryChannelLayer):
    """Fails to receive as often as it is told."""

    def __init__(self, failures):
        super().__init__()
        self.failures = failures

    def take(self, *args, **kwargs):
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the broker is gone")
        return super().take(*args, **kwargs)


def test_a_step_lets_out_what_the_layer_raises(make_site):
    site = make_site([route("thumbnail", print)], layer=FailingLayer(1))

    with pytest.raises(ConnectionError):
        site.worker.step()
    assert site.worker.step() is False


def test_a_worker_tries_again_with_growing_pauses(make_site, monkeypatch, caplog):
    pauses = []
    site = make_site([route("thumbnail", lambda message: site.worker.stop())], layer=FailingLayer(8))
    monkeypatch.setattr(site.worker._stop, "wait", pauses.append)
    monkeypatch.setattr(pauses_module.random, "uniform", lambda low, high: high)
    site.layer.send("thumbnail", {})
    site.worker.run()

    assert pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0]
    failure, end = messages_of(caplog)
    assert failure == "This process cannot reach the channel layer, and goes on trying: the broker is gone"
    assert end.startswith("This process reaches the channel layer again, after ")


def test_a_worker_has_reached_the_layer_when_that_has_answered(make_site, monkeypatch):
    reached = []
    site = make_site([route("thumbnail", lambda message: site.worker.stop())], layer=FailingLayer(2))
    monkeypatch.setattr(site.worker._stop, "wait", lambda pause: reached.append(site.worker.reached.is_set()))
    site.layer.send("thumbnail", {})
    site.worker.run()

    assert reached == [False, False]
    assert site.worker.reached.is_set()


def test_a_worker_does_not_wait_for_a_message_to_see_that_the_layer_answers(make_site, monkeypatch):
    timeouts = []
    site = make_site([route("thumbnail", print)], layer=FailingLayer(1))
    take = InMemoryChannelLayer.take

    def note(layer, channels, timeout=0.0):
        timeouts.append(timeout)
        if len(timeouts) == 4:
            site.worker.stop()
        layer.failures = len(timeouts) == 2
        return take(layer, channels)

    monkeypatch.setattr(InMemoryChannelLayer, "take", note)
    site.worker.run()

    assert timeouts == [0, worker.RECEIVE_TIMEOUT, 0, worker.RECEIVE_TIMEOUT]


# Running and stopping


@pytest.fixture
def run_group():
    """Return a function that starts workers in threads, which end with the test."""
    groups = []

    def run(site, threads):
        groups.append(WorkerGroup(site.layer, threads))
        groups[-1].start()
        return groups[-1]

    yield run
    for group in groups:
        group.stop(timeout=10)


def test_the_threads_of_a_group_run_consumers_at_the_same_time(make_site, run_group):
    together = threading.Barrier(5)
    site = make_site([route("thumbnail", lambda message: together.wait(30))])
    run_group(site, 4)
    for _ in range(4):
        site.layer.send("thumbnail", {})
    together.wait(30)

    assert not together.broken


def test_a_stop_lets_a_consumer_finish_and_leaves_what_waits(make_site, run_group):
    begun, go_on, done = threading.Event(), threading.Event(), []

    def consumer(message):
        begun.set()
        assert go_on.wait(30)
        Channel("log").send({})
        done.append(message["number"])

    site = make_site([route("thumbnail", consumer)])
    group = run_group(site, 1)
    for number in range(3):
        site.layer.send("thumbnail", {"number": number})
    assert begun.wait(30)
    group.workers[0].stop()
    go_on.set()
    group.stop(timeout=30)

    assert done == [0]
    assert site.received("log") == [{}]
    assert [message["number"] for message in site.received("thumbnail")] == [1, 2]


def test_a_drain_finishes_what_waits_too(make_site, run_group):
    done = []

    def consumer(message):
        done.append(message["number"])
        if message["number"] == 0:
            group.workers[0].stop(drain=True)
            message.channel.send({"number": 3})

    site = make_site([route("thumbnail", consumer)])
    for number in range(3):
        site.layer.send("thumbnail", {"number": number})
    group = WorkerGroup(site.layer, 1)
    group.start()
    group.stop(drain=True, timeout=30)

    assert done == [0, 1, 2, 3]


def test_a_drain_comes_to_an_end_though_consumers_go_on_sending(make_site, run_group, monkeypatch, caplog):
    monkeypatch.setattr("channels.worker.worker.DRAIN_TIMEOUT", 0.05)
    site = make_site([route("thumbnail", lambda message: message.channel.send({}))])
    site.layer.send("thumbnail", {})
    group = WorkerGroup(site.layer, 1)
    group.start()

    assert group.stop(drain=True, timeout=30)
    assert "although messages still wait" in caplog.text
    assert site.received("thumbnail") == [{}]


def alive(group):
    return [thread for thread in group._threads if thread.is_alive()]


def test_idle_workers_stop_at_once(make_site, run_group, monkeypatch):
    monkeypatch.setattr(worker, "RECEIVE_TIMEOUT", 600)
    group = run_group(make_site([route("thumbnail", print)]), 3)
    group.stop(timeout=30)

    assert alive(group) == []


def test_a_worker_that_was_about_to_wait_hears_of_the_stop(make_site, run_group, monkeypatch):
    stopping, waiting = threading.Event(), threading.Event()

    class SlowLayer(InMemoryChannelLayer):
        """A worker that wants to wait does so only after the stop."""

        def take(self, channels, timeout=0.0):
            waiting.set()
            assert stopping.wait(30)
            return super().take(channels, timeout)

        def interrupt(self):
            super().interrupt()
            stopping.set()

    monkeypatch.setattr(worker, "RECEIVE_TIMEOUT", 600)
    group = run_group(make_site([route("thumbnail", print)], layer=SlowLayer()), 1)
    assert waiting.wait(30)
    group.stop(timeout=30)

    assert alive(group) == []


def test_a_stop_does_not_wait_longer_than_it_is_told(make_site, run_group):
    go_on, begun = threading.Event(), threading.Event()

    def consumer(message):
        begun.set()
        go_on.wait(30)

    site = make_site([route("thumbnail", consumer)])
    group = run_group(site, 2)
    site.layer.send("thumbnail", {})
    assert begun.wait(30)
    group.stop(timeout=0.05)

    assert len(alive(group)) >= 1
    go_on.set()


# Workers beside an interface server


def test_a_router_that_is_prepared_has_the_default_routes(make_site):
    layer = make_site([route("thumbnail", print)]).layer
    prepare_router(layer)

    assert layer.router.channels == {
        "thumbnail",
        "http.request",
        "websocket.connect",
        "websocket.receive",
        "websocket.recheck",
        "websocket.disconnect",
    }


def test_workers_beside_an_interface_server_read_its_layer(make_site, caplog):
    caplog.set_level(logging.INFO, "channels")
    answered = threading.Event()
    site = make_site([route("thumbnail", lambda message: answered.set())])
    group = start_embedded_workers(site.layer, 2)
    site.layer.send("thumbnail", {})

    assert answered.wait(30)
    group.stop(drain=True)
    assert messages_of(caplog, logging.INFO) == [f"2 worker threads read {', '.join(group.channels)}"]


def test_a_socket_goes_from_connect_to_disconnect_by_the_default_routes(make_site):
    layer = make_site().layer
    prepare_router(layer)
    socket = Socket(Site(layer))

    assert socket.connect() == [{"accept": True}]
    assert socket.send("hello") == socket.disconnect() == []
