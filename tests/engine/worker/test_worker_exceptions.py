"""What a consumer may raise, and what the worker does then."""

import logging

import pytest
from django.db import DatabaseError

from channels import Channel, ConsumeLater, route
from channels.exceptions import (
    ChannelSocketException,
    DenyConnection,
    ResponseLater,
    WebsocketCloseException,
)
from channels.interface.http import HttpExchange
from channels.layers.base import Finish
from channels.signals import consumer_finished, consumer_started
from channels.worker import Worker, WorkerGroup, consumption, worker


def raising(error):
    """Return a consumer that sends something and then raises."""

    def consumer(message):
        Channel("log").send({"text": "sent"})
        raise error

    return consumer


def messages_of(caplog, level=logging.WARNING):
    return [record.getMessage() for record in caplog.records if record.levelno >= level]


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
    monkeypatch.setattr(consumption.logger, "exception", fail)
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
    assert f"A consumer failed: {__name__}.raising" in caplog.text


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()], ids=repr)
def test_it_ends_no_thread_of_a_group_which_nobody_would_replace(make_site, error):
    def work(message):
        Channel("log").send({"text": "sent"})

    site = make_site([route("websocket.receive", raising(error)), route("work", work)])
    group = WorkerGroup(site.layer, 1)
    group.start()
    site.layer.send("websocket.receive", {})
    site.layer.send("work", {})
    ended = group.stop(drain=True, timeout=10)

    assert ended
    assert site.received("log") == [{"text": "sent"}] * 2


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


# What a socket is told of its message


def passing(message):
    pass


def badly_behaved(*arguments):
    raise RuntimeError("the callback failed")


@pytest.mark.parametrize(
    "consumer", [passing, *map(raising, [ValueError(), Odd(), NoText(), ResponseLater(), WebsocketCloseException()])]
)
def test_a_socket_is_told_once_that_its_message_is_done_however_its_consumer_ends(make_site, consumer):
    site = make_site([route("websocket.receive", consumer)])
    site.consume("websocket.receive", order=3)

    assert site.finishes == [(site.reply_channel, Finish(3))]


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()], ids=repr)
def test_it_is_told_of_one_that_ends_the_worker_too(make_site, error):
    site = make_site([route("websocket.receive", raising(error))])
    with pytest.raises(type(error)):
        site.consume("websocket.receive", order=3)
    site.received(site.reply_channel)

    assert site.finishes == [(site.reply_channel, Finish(3))]


@pytest.mark.parametrize(
    ("routing", "content"),
    [
        ([route("websocket.receive", passing, path="/elsewhere/")], {}),
        ([route("websocket.receive", lambda message: None, path=r"^/(?P<unexpected>.*)$")], {"path": "/"}),
    ],
    ids=["no route", "arguments that the consumer does not take"],
)
def test_it_is_told_of_one_that_no_consumer_has_run_with(make_site, routing, content):
    site = make_site(routing)
    site.consume("websocket.receive", order=3, **content)

    assert site.finishes == [(site.reply_channel, Finish(3))]


def test_it_is_told_of_one_whose_route_or_callback_or_signal_fails(make_site):
    class Broken:
        def channel_names(self):
            return {"websocket.connect"}

        def match(self, message):
            if message.channel.name == "websocket.connect":
                raise RuntimeError("the route failed")

    def receiver(**arguments):
        raise RuntimeError("the receiver failed")

    site = make_site([Broken(), route("websocket.receive", passing)])
    site.consume("websocket.connect", order=0)
    site.worker = Worker(site.layer, callback=badly_behaved)
    site.consume("websocket.receive", order=1)
    site.worker = Worker(site.layer)
    for number, signal in enumerate([consumer_started, consumer_finished], 2):
        signal.connect(receiver)
        try:
            site.consume("websocket.receive", order=number)
        finally:
            signal.disconnect(receiver)

    assert site.finishes == [(site.reply_channel, Finish(number)) for number in range(4)]


def test_nobody_is_told_of_a_message_that_no_lane_waits_for(make_site):
    site = make_site([route(["websocket.disconnect", "http.request", "jobs"], passing)])
    for channel in ("websocket.disconnect", "http.request", "jobs"):
        site.consume(channel)

    assert site.finishes == []


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
        seen.append((message["text"], message.reply_channel.name))
        message["text"] = "changed"
        message.content.pop("reply_channel")
        if len(seen) < 3:
            raise ConsumeLater

    site = make_site([route("websocket.receive", consumer)])
    site.consume("websocket.receive", text="hello")

    assert seen == [("hello", site.reply_channel)] * 3


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


@pytest.mark.parametrize("claimed", ["many", -1_000_000, True, None, 2.5])
def test_how_often_it_was_put_back_is_not_for_its_sender_to_say(make_site, claimed):
    runs = []

    def consumer(message):
        runs.append(message)
        raise ConsumeLater

    site = make_site([route("websocket.receive", consumer)])
    site.consume("websocket.receive", __retries__=claimed)

    assert len(runs) == worker.MESSAGE_RETRIES + 1


def test_where_there_is_no_room_for_it_it_is_counted(make_site, monkeypatch):
    def consumer(message):
        if message["text"] == "first":
            site.layer.send("websocket.receive", {"text": "in its place"})
            raise ConsumeLater

    monkeypatch.setattr("channels.worker.outgoing.FULL_TIMEOUT", 0.0)
    site = make_site([route("websocket.receive", consumer)], capacity=1)
    site.consume("websocket.receive", text="first")

    assert site.layer.channel_statistics("websocket.receive")["dropped"] == {"full": 1}


def test_a_message_that_is_put_back_is_as_it_was_however_deep_the_consumer_has_changed_it(make_site):
    seen = []

    def change(message):
        seen.append(len(message["items"]))
        message["items"].append("more")
        if len(seen) < 3:
            raise ConsumeLater

    make_site([route("orders", change)]).consume("orders", items=[])

    assert seen == [0, 0, 0]
