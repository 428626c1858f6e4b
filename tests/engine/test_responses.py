import logging

import pytest
from django.http import StreamingHttpResponse
from django.urls import path

from channels import Channel, responses, route
from channels.layers.inmemory import InMemoryChannelLayer
from channels.message import Message
from channels.responses import WINDOW, ClientGone, ResponseSender

pytestmark = pytest.mark.urls(__name__)
REPLY = "reply.client!1"


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
    """A layer with a client behind it, who acknowledges what it gets by ``answer``."""

    def __init__(self, answer=None, **options):
        super().__init__(**options)
        self.answer = answer
        self.asked = []

    def send_many(self, batch):
        batch = list(batch)
        refused = super().send_many(batch)
        for send in batch:
            if "ack" in send.content and self.answer is not None:
                self.asked.append(send.content["content"])
                self.send(send.content["ack"], self.answer)
        return refused


parts = None


def stream(request):
    return StreamingHttpResponse(parts)


urlpatterns = [path("stream/", stream)]


@pytest.fixture
def download(make_site, settings, monkeypatch):
    """Return a function that requests a stream of parts on a layer, and returns what was sent to the client."""
    settings.MIDDLEWARE, settings.TEMPLATES = [], []

    def download(layer, own_parts):
        monkeypatch.setitem(globals(), "parts", own_parts)
        site = make_site(layer=layer, default_routes=True)
        return site.request("/stream/")

    return download


def texts(replies):
    return [reply.get("content") for reply in replies]


def test_a_stream_reaches_the_client_in_its_order(download):
    replies = download(ClientLayer({"closed": False}), Parts(10))

    assert texts(replies) == [b"%d" % number for number in range(1, 11)] + [b""]
    assert [reply["more_content"] for reply in replies] == [True] * 10 + [False]


def test_after_every_window_of_parts_the_client_is_waited_for(download):
    layer = ClientLayer({"closed": False})
    replies = download(layer, Parts(2 * WINDOW + 1))

    assert layer.asked == [b"%d" % WINDOW, b"%d" % (2 * WINDOW)]
    assert len({reply["ack"] for reply in replies if "ack" in reply}) == 1
    assert replies[WINDOW - 1]["ack"].startswith("http.response.ack?")


def test_no_more_than_a_window_is_made_before_the_client_has_taken_it(download, monkeypatch):
    monkeypatch.setattr(responses, "CLIENT_TIMEOUT", 0.01)
    endless = Parts(1000)
    replies = download(ClientLayer(answer=None), endless)

    assert endless.made == WINDOW
    assert endless.closed
    assert texts(replies) == [b"1", b"2", b"3", b"4", None]
    assert replies[-1] == {"abort": True}


def test_a_client_that_has_gone_ends_its_response_and_that_is_no_error(download, caplog):
    caplog.set_level(logging.INFO, "channels")
    endless = Parts(1000)
    replies = download(ClientLayer({"closed": True}), endless)

    assert endless.made == WINDOW
    assert endless.closed
    assert len(replies) == WINDOW
    assert [record.getMessage() for record in caplog.records] == [
        "Response to '/stream/' abandoned: the client has left",
    ]


def test_a_stream_that_fails_is_cut_off_and_logged(download, caplog):
    failing = Parts(1000, fails_at=2)
    first, second, cut, *rest = download(ClientLayer({"closed": False}), failing)

    assert [first["content"], second["content"], cut] == [b"1", b"2", {"abort": True}]
    assert failing.closed
    assert "the iterator failed" in caplog.text
    # What follows the cut reaches nobody.
    assert [reply["status"] for reply in rest] in ([], [500])


def test_a_stream_that_fails_before_its_first_part_is_answered_with_500(download):
    [reply] = download(ClientLayer(), Parts(1000, fails_at=0))

    assert reply["status"] == 500


def test_a_full_reply_channel_is_waited_for(make_site, monkeypatch):
    site = make_site(channel_capacity={"reply.*": 1})
    sender = ResponseSender(Message({"reply_channel": REPLY}, "http.request", site.layer))
    found = []
    monkeypatch.setattr(responses.time, "sleep", lambda seconds: found.extend(site.received(REPLY)))
    for number in range(3):
        sender.send({"content": b"%d" % number, "more_content": True})

    assert texts(found + site.received(REPLY)) == [b"0", b"1", b"2"]


def test_a_reply_channel_that_stays_full_means_that_the_client_has_gone(make_site, monkeypatch):
    monkeypatch.setattr(responses, "CLIENT_TIMEOUT", 0.0)
    monkeypatch.setattr(responses.time, "sleep", lambda seconds: None)
    site = make_site(channel_capacity={"reply.*": 1})
    sender = ResponseSender(Message({"reply_channel": REPLY}, "http.request", site.layer))
    sender.send({"content": b"1", "more_content": True})

    with pytest.raises(ClientGone, match="its reply channel has been full for 0 s"):
        sender.send({"content": b"2", "more_content": True})


def test_the_last_part_leaves_with_the_other_sends_of_the_consumer(make_site):
    def consumer(message):
        sender = ResponseSender(message)
        sender.send({"status": 200, "content": b"1", "more_content": True})
        sender.send({"content": b"2", "more_content": False})
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
