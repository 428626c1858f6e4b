import logging
import threading

import pytest
from django.db import DatabaseError

from channels import Channel, ConsumeLater, route, worker
from channels.exceptions import (
    ChannelSocketException,
    DenyConnection,
    ResponseLater,
    WebsocketCloseException,
)
from channels.interface.http import HttpExchange
from channels.layers.inmemory import InMemoryChannelLayer
from channels.worker import Worker, WorkerGroup, filter_channels, prepare_router, start_embedded_workers

from .sites import Site, Socket


def raising(error):
    """Return a consumer that sends something and then raises."""

    def consumer(message):
        Channel("log").send({"text": "sent"})
        raise error

    return consumer


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


@pytest.mark.parametrize(
    ("only", "exclude", "left"),
    [
        (None, None, ["a.x", "a.y", "b.x"]),
        (["a.*"], None, ["a.x", "a.y"]),
        (["a.x", "b.*"], [], ["a.x", "b.x"]),
        (None, ["*.x"], ["a.y"]),
        (["a.*"], ["*.x"], ["a.y"]),
        (["c"], None, []),
    ],
)
def test_channels_are_chosen_by_patterns(only, exclude, left):
    assert filter_channels({"b.x", "a.y", "a.x"}, only, exclude) == left


# Consumers that fail


class NoText(Exception):
    def __str__(self):
        raise ValueError("an exception without a text")


class Odd(BaseException):
    pass


@pytest.mark.parametrize(
    "error",
    [ValueError("a reason"), Odd(), RecursionError(), MemoryError(), GeneratorExit(), NoText(), DatabaseError("lost")],
    ids=repr,
)
def test_whatever_a_consumer_raises_is_logged_and_the_next_message_is_served(make_site, caplog, error):
    site = make_site([route("websocket.receive", raising(error)), route("next", lambda m: m.reply_channel.send({}))])
    site.consume("websocket.receive")
    [record] = [record for record in caplog.records if record.levelno >= logging.WARNING]

    assert record.getMessage() == (
        f"A consumer failed: {__name__}.raising.<locals>.consumer "
        f"with <Message on websocket.receive from {site.reply_channel}>"
    )
    assert record.levelno == logging.ERROR
    assert site.received("log") == [{"text": "sent"}]
    assert site.consume("next") == [{}]


def test_an_exception_that_the_log_cannot_take_is_logged_without_it(make_site, caplog, monkeypatch):
    def fail(*args):
        raise RuntimeError("the log cannot take it")

    site = make_site([route("websocket.receive", raising(ValueError()))])
    monkeypatch.setattr(worker.logger, "exception", fail)
    site.consume("websocket.receive")

    [text] = messages_of(caplog)
    assert text.startswith("A consumer failed: ")
    assert text.endswith(", and its exception cannot be shown")


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()], ids=repr)
def test_what_tells_the_worker_to_end_comes_out_after_the_sends(make_site, caplog, error):
    site = make_site([route("websocket.receive", raising(error))])

    with pytest.raises(type(error)) as raised:
        site.consume("websocket.receive")
    assert raised.value is error
    assert site.received("log") == [{"text": "sent"}]
    assert f"The worker is told to end by {__name__}.raising" in caplog.text


def test_a_request_is_not_left_waiting_for_a_consumer_that_failed(make_site):
    site = make_site([route("http.request", raising(RuntimeError("a secret")))])

    assert site.request() == [
        {
            "status": 500,
            "headers": [[b"content-type", b"text/plain; charset=utf-8"]],
            "content": b"Server error (500)\n",
        }
    ]


def test_while_debug_is_on_it_gets_the_traceback(make_site, settings):
    settings.DEBUG = True
    [reply] = make_site([route("http.request", raising(RuntimeError("the reason \udc80")))]).request()

    assert reply["status"] == 500
    assert reply["content"].startswith(b"Traceback (most recent call last):")
    assert b"RuntimeError: the reason ?" in reply["content"]


def test_a_socket_whose_connect_consumer_failed_is_refused(make_site):
    site = make_site([route("websocket.connect", raising(RuntimeError()))])

    assert site.consume("websocket.connect") == [{"close": 1011}]


def test_an_open_socket_outlives_a_consumer_that_failed(make_site):
    site = make_site([route("websocket.receive", raising(RuntimeError()))])

    assert site.consume("websocket.receive") == []


@pytest.mark.parametrize("channel", ["http.request", "websocket.connect"])
def test_what_was_answered_before_the_failure_is_the_answer(make_site, channel):
    def consumer(message):
        message.reply_channel.send({"text": "the answer"})
        raise RuntimeError

    assert make_site([route(channel, consumer)]).consume(channel) == [{"text": "the answer"}]


def test_a_response_in_whose_middle_it_failed_is_cut_off_and_not_ended(make_site):
    def consumer(message):
        message.reply_channel.send({"status": 200, "content": b"half", "more_content": True}, immediately=True)
        raise RuntimeError

    site = make_site([route("http.request", consumer)])
    exchange = HttpExchange("/", site.reply_channel)
    start, body = (event for reply in site.request() for event in exchange.reply(reply))

    assert (start["status"], body["body"], body["more_body"]) == (200, b"half", True)
    assert exchange.aborted


def test_without_a_reply_channel_nobody_is_answered(make_site, caplog):
    site = make_site([route("http.request", raising(RuntimeError()))])
    site.layer.send("http.request", {})
    site.work()

    assert messages_of(caplog) == [
        f"A consumer failed: {__name__}.raising.<locals>.consumer with <Message on http.request>"
    ]


def test_who_will_be_answered_later_is_not_answered_now(make_site):
    assert make_site([route("http.request", raising(ResponseLater()))]).request() == []


# DenyConnection


def test_a_connection_can_be_denied_and_what_was_said_to_it_is_taken_back(make_site, caplog):
    def consumer(message):
        message.reply_channel.send({"accept": True})
        Channel("log").send({"text": "somebody was here"})
        raise DenyConnection

    site = make_site([route("websocket.connect", consumer)])

    assert site.consume("websocket.connect") == [{"accept": False}]
    assert site.received("log") == [{"text": "somebody was here"}]
    assert messages_of(caplog) == []


@pytest.mark.parametrize("channel", ["websocket.receive", "websocket.disconnect", "http.request", "thumbnail"])
def test_a_connection_cannot_be_denied_elsewhere(make_site, caplog, channel):
    site = make_site([route(channel, raising(DenyConnection()))])

    assert site.consume(channel) == []
    [text] = messages_of(caplog)
    assert text.startswith("DenyConnection is for websocket.connect consumers; nothing is denied: ")
    assert site.received("log") == [{"text": "sent"}]


# Exceptions that act on a socket


@pytest.mark.parametrize("channel", ["websocket.connect", "websocket.receive"])
@pytest.mark.parametrize(("code", "close"), [(None, True), (1000, 1000), (3000, 3000), (4999, 4999)])
def test_a_consumer_may_close_its_socket_by_an_exception(make_site, channel, code, close):
    site = make_site([route(channel, raising(WebsocketCloseException(code)))])

    assert site.consume(channel) == [{"close": close}]
    assert site.received("log") == [{"text": "sent"}]


def test_what_it_said_before_comes_before_the_close(make_site):
    def consumer(message):
        message.reply_channel.send({"accept": True, "text": "too late"})
        raise WebsocketCloseException(4001)

    site = make_site([route("websocket.connect", consumer)])

    assert site.consume("websocket.connect") == [{"accept": True, "text": "too late"}, {"close": 4001}]


def test_where_there_is_no_socket_to_close_that_is_logged(make_site, caplog):
    site = make_site([route("thumbnail", raising(WebsocketCloseException()))])
    site.layer.send("thumbnail", {})
    site.work()

    assert "There is no socket to close: <Message on thumbnail> has no reply_channel." in caplog.text
    assert site.received("log") == [{"text": "sent"}]


def test_an_action_of_ones_own_may_answer_and_may_fail(make_site, caplog):
    class Greet(ChannelSocketException):
        def run(self, message):
            message.reply_channel.send({"text": "hello"})
            raise RuntimeError("the action failed")

    site = make_site([route("websocket.receive", raising(Greet()))])

    assert site.consume("websocket.receive") == [{"text": "hello"}]
    assert "After the consumer something failed" in caplog.text
    assert "the action failed" in caplog.text


# ConsumeLater


def test_a_message_that_is_to_be_consumed_later_goes_to_the_end_of_its_channel(make_site):
    runs = []

    def consumer(message):
        runs.append(message["text"])
        if runs == ["a"]:
            raise ConsumeLater

    site = make_site([route("websocket.receive", consumer)])
    for text in ("a", "b", "c"):
        site.layer.send("websocket.receive", {"text": text})
    site.work()

    assert runs == ["a", "b", "c", "a"]


def test_it_comes_back_as_it_was(make_site):
    seen = []

    def consumer(message):
        seen.append((message["text"], message.reply_channel.name, message.comes_again))
        message["text"] = "changed"
        message.content.pop("reply_channel")
        if len(seen) < 3:
            raise ConsumeLater

    site = make_site([route("websocket.receive", consumer)])
    site.consume("websocket.receive", text="hello")

    assert seen == [("hello", site.reply_channel, False)] * 3


@pytest.mark.parametrize("retries", [0, 3, 10])
def test_after_so_many_times_it_is_dropped_with_a_warning(make_site, caplog, retries):
    runs = []

    def consumer(message):
        runs.append(message)
        Channel("log").send({})
        raise ConsumeLater

    site = make_site([route("websocket.receive", consumer)])
    if retries != worker.MESSAGE_RETRIES:
        site.worker = Worker(site.layer, message_retries=retries)
    site.consume("websocket.receive")

    assert len(runs) == len(site.received("log")) == retries + 1
    assert site.layer.channel_statistics("websocket.receive")["dropped"] == {"consumed later too often": 1}
    assert f"ConsumeLater was raised {retries + 1} times for the same message." in caplog.text


def test_where_there_is_no_room_for_it_it_is_counted(make_site, monkeypatch):
    def consumer(message):
        if message["text"] == "first":
            site.layer.send("websocket.receive", {"text": "in its place"})
            raise ConsumeLater

    monkeypatch.setattr("channels.sends.FULL_TIMEOUT", 0.0)
    site = make_site([route("websocket.receive", consumer)], capacity=1)
    site.consume("websocket.receive", text="first")

    assert site.layer.channel_statistics("websocket.receive")["dropped"] == {"full": 1}


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

    def receive(self, *args, **kwargs):
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the broker is gone")
        return super().receive(*args, **kwargs)


def test_a_step_lets_out_what_the_layer_raises(make_site):
    site = make_site([route("thumbnail", print)], layer=FailingLayer(1))

    with pytest.raises(ConnectionError):
        site.worker.step()
    assert site.worker.step() is False


def test_a_worker_tries_again_with_growing_pauses(make_site, monkeypatch, caplog):
    pauses = []
    site = make_site([route("thumbnail", lambda message: site.worker.stop())], layer=FailingLayer(8))
    monkeypatch.setattr(site.worker._stop, "wait", pauses.append)
    monkeypatch.setattr(worker.random, "uniform", lambda low, high: high)
    site.layer.send("thumbnail", {})
    site.worker.run()

    assert pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0]
    assert messages_of(caplog) == ["The worker cannot read from the channel layer; the next try follows"] * 8


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

        def receive(self, channels, block=False, timeout=None):
            waiting.set()
            assert stopping.wait(30)
            return super().receive(channels, block, timeout)

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
