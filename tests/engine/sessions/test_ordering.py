"""`enforce_ordering`: who asks for it, what its socket is told; what that does then lies with the interface server."""

import contextlib

import pytest

from channels import Channel, ConsumeLater, route
from channels.exceptions import DenyConnection
from channels.layers.base import Finish
from channels.sessions.channel_session import channel_session
from channels.sessions.ordering import enforce_ordering

from ..sites import Socket


@enforce_ordering
def receive(message):
    count = message.channel_session["count"] = message.channel_session.get("count", 0) + 1
    message.reply_channel.send({"text": f"{message['text']} is message {count}"})


def finishes_of(socket):
    """Return what the socket was told by workers."""
    socket.received()
    return [finish for name, finish in socket.site.finishes if name == socket.reply_channel]


def test_a_socket_is_told_that_its_consumer_wants_the_promise(make_site):
    socket = Socket(make_site([route("websocket.receive", receive)]))
    assert socket.send("a") == [{"text": "a is message 1"}]
    assert socket.send("b") == [{"text": "b is message 2"}]

    assert finishes_of(socket) == [
        Finish(0, {"count": 1}, [], keeps_order=True),
        Finish(1, {"count": 2}, [], keeps_order=True),
    ]


def test_without_it_the_socket_is_told_that_its_message_is_done_and_no_more(make_site):
    socket = Socket(make_site([route("websocket.receive", lambda message: None)]))
    socket.send("a")

    assert finishes_of(socket) == [Finish(0)]


class Stop(BaseException):
    pass


@pytest.mark.parametrize("error", [RuntimeError("failed"), Stop(), SystemExit(3), DenyConnection()], ids=repr)
def test_a_consumer_that_fails_has_asked_for_it_all_the_same_and_the_next_one_may_run(make_site, error):
    @enforce_ordering
    def fail(message):
        message.channel_session["kept"] = True
        raise error

    socket = Socket(make_site([route("websocket.receive", fail)]))
    socket.put("websocket.receive", text="a")
    with contextlib.suppress(SystemExit):
        socket.site.work()

    assert finishes_of(socket) == [Finish(0, {"kept": True}, [], keeps_order=True)]


def test_a_socket_that_is_refused_is_told_so_in_the_same_entry(make_site):
    @enforce_ordering
    def refuse(message):
        raise DenyConnection

    socket = Socket(make_site([route("websocket.connect", refuse)]))

    assert socket.connect() == [{"accept": False}]
    assert finishes_of(socket) == [Finish(0, keeps_order=True)]


def test_a_message_that_is_to_be_consumed_later_keeps_its_number_and_is_announced(make_site):
    @enforce_ordering
    def later(message):
        times = message.channel_session["times"] = message.channel_session.get("times", 0) + 1
        if times < 3:
            raise ConsumeLater

    socket = Socket(make_site([route("websocket.receive", later)]))
    socket.send("a")

    assert [(finish.number, finish.comes_again) for finish in finishes_of(socket)] == [(0, True), (0, True), (0, False)]
    assert socket.session == {"times": 3}


def test_one_that_was_put_back_too_often_is_dropped_and_done(make_site):
    @enforce_ordering
    def later(message):
        raise ConsumeLater

    socket = Socket(make_site([route("websocket.receive", later)]))
    socket.send("a")
    finishes = finishes_of(socket)

    assert len(finishes) == 11
    assert finishes[-1] == Finish(0, keeps_order=True)


def test_nothing_of_it_asks_the_database(make_site, django_assert_num_queries):
    site = make_site([route("websocket.receive", receive)])
    with django_assert_num_queries(0):
        Socket(site).send("a")


# What is no message in an order


@pytest.mark.parametrize("content", [{}, {"order": 1}, {"order": 1, "reply_channel": "reply.a!1"}], ids=repr)
def test_a_message_that_comes_from_no_socket_is_told(make_site, caplog, content):
    site = make_site([route("thumbnail", enforce_ordering(lambda message: None))])
    site.layer.send("thumbnail", content)
    site.work()

    assert "ValueError: The message on thumbnail has no channel_session." in caplog.text


def test_one_of_a_socket_that_was_sent_on_has_no_order(make_site, caplog):
    def consumer(message):
        Channel("jobs").send({"reply_channel": message.reply_channel.name})

    Socket(make_site([route("websocket.receive", consumer), route("jobs", receive)])).send("a")

    assert "A message on jobs has no order. enforce_ordering is for websocket.* messages." in caplog.text


# The decorator


def test_the_decorator_may_be_called_and_its_slight_mode_is_gone():
    assert enforce_ordering()(receive).__name__ == enforce_ordering(slight=False)(receive).__name__ == "receive"
    with pytest.raises(ValueError, match="has no slight mode any more"):
        enforce_ordering(slight=True)


@pytest.mark.parametrize(
    "decorated", [channel_session(receive), enforce_ordering(channel_session(receive.__wrapped__))], ids=["in", "out"]
)
def test_it_may_be_stacked_with_the_session_it_needs_in_any_order(make_site, decorated):
    socket = Socket(make_site([route("websocket.receive", decorated)]))
    replies = [socket.send("a"), socket.send("b")]

    assert replies == [[{"text": "a is message 1"}], [{"text": "b is message 2"}]]
    assert all(finish.keeps_order for finish in finishes_of(socket))
