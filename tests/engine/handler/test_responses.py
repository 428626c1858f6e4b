import asyncio
import logging
import threading
import time

import pytest
from asgiref.sync import sync_to_async
from django.db import connection
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path

from channels import Channel, route
from channels.handler import handler, responses
from channels.handler.responses import WINDOW, ClientGone, ResponseSender
from channels.layers.inmemory import InMemoryChannelLayer
from channels.message import Message

pytestmark = pytest.mark.urls(__name__)
REPLY = "reply.client!1"
PATIENCE = 20.0


class Parts:
    """The parts of a response, and whether they were asked for and closed."""

    def __init__(self, number, fails_at=None):
        self.number, self.fails_at = number, fails_at
        self.made, self.closed = 0, False

    def __iter__(self):
        return self

    def __next__(self):
        if self.made == self.fails_at:
            raise RuntimeError("the iterator failed")
        if self.made == self.number:
            raise StopIteration
        self.made += 1
        return f"{self.made}"

    def close(self):
        self.closed = True


class ClientLayer(InMemoryChannelLayer):
    """A layer with an interface server behind it, which tells workers what ``news`` says when ``tells`` is true."""

    def __init__(self, closed=False, tells=lambda content: "ack" in content, **options):
        super().__init__(**options)
        self.closed, self.tells = closed, tells
        self.asked = []

    def send_many(self, batch):
        batch = list(batch)
        refused = super().send_many(batch)
        for send in batch:
            if "worker" in send.content and self.tells(send.content):
                self.asked.append(send.content.get("content"))
                channel, number = send.content["worker"]
                self.send(channel, {"response": number, "closed": self.closed})
        return refused


made = {}


def stream(request):
    return StreamingHttpResponse(made["parts"])


async def stream_later(request):
    return StreamingHttpResponse(made["parts"])


async def wait(request):
    return await made["view"](request)


urlpatterns = [path("stream/", stream), path("later/", stream_later), path("wait/", wait)]


@pytest.fixture
def ask(make_site, settings, monkeypatch):
    """Return a function that requests a page on a layer, and returns what was sent to the client."""
    settings.MIDDLEWARE, settings.TEMPLATES = [], []

    def ask(layer, path="/stream/", **things):
        for name, thing in things.items():
            monkeypatch.setitem(made, name, thing)
        return make_site(layer=layer, default_routes=True).request(path)

    return ask


def texts(replies):
    return [reply.get("content") for reply in replies]


def leaves_at(content):
    """Return a condition for ``tells``: true of the part with this content."""
    return lambda message: message.get("content") == content


def test_a_stream_arrives_in_its_order(ask):
    replies = ask(ClientLayer(), parts=Parts(10))

    assert texts(replies) == [b"%d" % number for number in range(1, 11)] + [b""]
    assert [reply["more_content"] for reply in replies] == [True] * 10 + [False]


def test_after_every_window_of_parts_the_interface_server_is_waited_for(ask):
    layer = ClientLayer()
    *parts, last = ask(layer, parts=Parts(2 * WINDOW + 1))

    assert layer.asked == [b"%d" % WINDOW, b"%d" % (2 * WINDOW)]
    assert len({tuple(part["worker"]) for part in parts}) == 1
    assert "worker" not in last


def test_no_more_than_a_window_is_made_before_it_has_been_taken(ask, monkeypatch):
    monkeypatch.setattr(responses, "ROOM_TIMEOUT", 0.01)
    endless = Parts(1000)
    replies = ask(ClientLayer(tells=lambda content: False), parts=endless)

    assert endless.made == WINDOW
    assert endless.closed
    assert texts(replies) == [b"1", b"2", b"3", b"4", None]
    assert replies[-1] == {"abort": True}


def test_a_client_that_has_gone_ends_its_response_and_that_is_no_error(ask, caplog):
    caplog.set_level(logging.INFO, "channels")
    endless = Parts(1000)
    replies = ask(ClientLayer(closed=True), parts=endless)

    assert endless.made == WINDOW
    assert endless.closed
    assert len(replies) == WINDOW
    assert [record.getMessage() for record in caplog.records] == [
        "Response to '/stream/' abandoned: the client has left",
    ]


def test_a_stream_learns_of_the_leave_before_its_next_part(ask):
    def parts():
        yield "1"
        left.wait(PATIENCE)
        time.sleep(0.2)
        seen.append("made")
        yield "2"
        seen.append("asked for more")

    left, seen = threading.Event(), []
    layer = ClientLayer(closed=True, tells=leaves_at(b"1"))
    hear = ResponseSender.hear

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ResponseSender, "hear", lambda self, closed: (hear(self, closed), left.set()))
        replies = ask(layer, parts=parts())

    assert (texts(replies), seen) == ([b"1"], ["made"])


def test_a_stream_that_fails_is_cut_off_and_logged(ask, caplog):
    failing = Parts(1000, fails_at=2)
    first, second, cut, *rest = ask(ClientLayer(), parts=failing)

    assert [first["content"], second["content"], cut] == [b"1", b"2", {"abort": True}]
    assert failing.closed
    assert "the iterator failed" in caplog.text
    # What follows the cut reaches nobody.
    assert [reply["status"] for reply in rest] in ([], [500])


def test_a_stream_that_fails_before_its_first_part_is_answered_with_500(ask):
    [reply] = ask(ClientLayer(), parts=Parts(1000, fails_at=0))

    assert reply["status"] == 500


def test_parts_are_such_as_the_layer_takes(ask):
    replies = ask(ClientLayer(max_message_size=4000), parts=iter([b"x" * 5000, b"y"]))

    assert [len(content) for content in texts(replies)] == [2000, 2000, 1000, 1, 0]
    assert [reply["more_content"] for reply in replies] == [True] * 4 + [False]
    assert ["status" in reply for reply in replies] == [True] + [False] * 4


def test_a_response_of_one_piece_is_cut_too(make_site):
    site = make_site(max_message_size=400)

    def consumer(message):
        ResponseSender(message).send({"status": 200, "headers": [], "content": b"x" * 500})

    site = make_site([route("http.request", consumer)], layer=ClientLayer(max_message_size=400))
    replies = site.consume("http.request", reply_channel=REPLY)

    assert [(len(reply["content"]), reply["more_content"]) for reply in replies] == [
        (200, True),
        (200, True),
        (100, False),
    ]


# Asynchronous code


def test_a_coroutine_may_yield_the_parts_and_each_is_sent_when_it_comes(ask):
    async def parts():
        for number in range(6):
            await asyncio.sleep(0)
            sent.append(len(layer.asked))
            yield f"{number}"

    layer, sent = ClientLayer(tells=lambda content: True), []
    head, *rest = ask(layer, "/later/", parts=parts())

    # The head comes first, alone, as it does from Django's own handler.
    assert (head["status"], head["content"], head["more_content"]) == (200, b"", True)
    assert texts(rest) == [b"0", b"1", b"2", b"3", b"4", b"5", b""]
    assert sent == [1, 2, 3, 4, 5, 6]


def test_a_coroutine_that_yields_parts_is_cancelled_when_the_client_leaves(ask, caplog):
    async def parts():
        try:
            yield "1"
            await asyncio.sleep(3600)
        except BaseException as error:
            ends.append(type(error))
            raise

    caplog.set_level(logging.INFO, "channels")
    ends, begun = [], time.monotonic()
    replies = ask(ClientLayer(closed=True, tells=leaves_at(b"1")), "/later/", parts=parts())

    # Whether it waits for something of its own by then or for the sending of its part.
    assert ends in ([asyncio.CancelledError], [GeneratorExit])
    assert texts(replies) == [b"", b"1"]
    assert time.monotonic() - begun < PATIENCE
    assert [record.getMessage() for record in caplog.records] == [
        "Response to '/later/' abandoned: the client has left",
    ]


def test_an_asynchronous_view_is_cancelled_when_the_client_leaves(ask, monkeypatch, caplog):
    async def view(request):
        try:
            await asyncio.sleep(3600)
        except BaseException as error:
            ends.append(type(error))
            raise

    caplog.set_level(logging.INFO, "channels")
    monkeypatch.setattr(handler, "ANNOUNCE_DELAY", 0.01)
    ends = []
    [announcement] = ask(ClientLayer(closed=True, tells=lambda content: True), "/wait/", view=view)

    assert list(announcement) == ["worker"]
    assert ends == [asyncio.CancelledError]
    assert [record.getMessage() for record in caplog.records] == [
        "Response to '/wait/' abandoned: the client has left",
    ]


def test_an_asynchronous_view_that_answers_at_once_asks_for_no_news(ask):
    async def view(request):
        return HttpResponse("quick")

    layer = ClientLayer(tells=lambda content: True)

    assert (texts(ask(layer, "/wait/", view=view)), layer.asked) == ([b"quick"], [])


def test_a_view_that_is_cancelled_by_something_else_has_failed(ask, caplog):
    async def view(request):
        raise asyncio.CancelledError

    [reply] = ask(ClientLayer(), "/wait/", view=view)

    assert reply["status"] == 500
    assert "A consumer failed" in caplog.text


def test_synchronous_code_runs_in_the_thread_of_the_worker_with_its_connection(ask):
    def look():
        seen.append((threading.get_ident(), id(connection.connection)))

    async def parts():
        await sync_to_async(look)()
        yield "1"
        await sync_to_async(look)()

    connection.ensure_connection()
    seen = []
    ask(ClientLayer(), "/later/", parts=parts())

    assert seen == [(threading.get_ident(), id(connection.connection))] * 2


# Sending


def test_a_full_reply_channel_is_waited_for(make_site, monkeypatch):
    site = make_site(channel_capacity={"reply.*": 1})
    sender = ResponseSender(Message({"reply_channel": REPLY}, "http.request", site.layer))
    found = []
    monkeypatch.setattr(responses.time, "sleep", lambda seconds: found.extend(site.received(REPLY)))
    for number in range(3):
        sender.send({"content": b"%d" % number, "more_content": True})
    sender.close()

    assert texts(found + site.received(REPLY)) == [b"0", b"1", b"2"]


def test_a_reply_channel_that_stays_full_means_that_the_client_has_gone(make_site, monkeypatch):
    monkeypatch.setattr(responses, "FULL_TIMEOUT", 0.0)
    monkeypatch.setattr(responses.time, "sleep", lambda seconds: None)
    site = make_site(channel_capacity={"reply.*": 1})
    sender = ResponseSender(Message({"reply_channel": REPLY}, "http.request", site.layer))
    sender.send({"content": b"1", "more_content": True})

    with pytest.raises(ClientGone, match="its reply channel has been full for 0 s"):
        sender.send({"content": b"2", "more_content": True})
    sender.close()


def test_the_last_part_leaves_with_the_other_sends_of_the_consumer(make_site):
    def consumer(message):
        sender = ResponseSender(message)
        sender.send({"status": 200, "content": b"1", "more_content": True})
        sender.send({"content": b"2", "more_content": False})
        sender.close()
        Channel("log").send({})
        seen.extend(site.received(REPLY))

    site, seen = make_site([route("http.request", consumer)]), []
    replies = site.consume("http.request", reply_channel=REPLY)

    assert texts(seen) == [b"1"]
    assert texts(replies) == [b"2"]


def test_a_response_that_has_not_begun_is_not_cut_off(make_site):
    site = make_site()
    ResponseSender(Message({"reply_channel": REPLY}, "http.request", site.layer)).abort()

    assert site.received(REPLY) == []


def test_a_response_that_cannot_hear_deafens_no_other(make_site, caplog):
    site, heard = make_site(), threading.Event()
    senders = [ResponseSender(Message({"reply_channel": REPLY}, "http.request", site.layer)) for _ in range(2)]
    for sender in senders:
        sender.announce()
    (channel, first), (_, second) = (part["worker"] for part in site.received(REPLY))

    def fail():
        raise RuntimeError("it is deaf")

    senders[0].call_on_leaving(fail)
    senders[1].call_on_leaving(heard.set)
    for number in (first, second):
        site.layer.send(channel, {"response": number, "closed": True})

    assert heard.wait(PATIENCE)
    assert "it is deaf" in caplog.text
    for sender in senders:
        sender.close()


def test_a_listener_ends_when_nobody_wants_to_hear_any_more(make_site, monkeypatch):
    monkeypatch.setattr(responses, "LISTEN_TIMEOUT", 0.01)
    site = make_site()
    sender = ResponseSender(Message({"reply_channel": REPLY}, "http.request", site.layer))
    before = threading.enumerate()
    sender.announce()
    [thread] = set(threading.enumerate()) - set(before)

    sender.close()
    thread.join(PATIENCE)

    assert not thread.is_alive()
    assert site.layer.channel_layer not in responses._listeners
