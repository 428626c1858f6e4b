import pytest

from channels.signals import consumer_finished
from chat.models import Message, Room


@pytest.fixture
def site(serve):
    return serve("docs/streams.md", "events")


@pytest.fixture
def rows(db):
    room = Room.objects.create(name="Hall")
    return [Message.objects.create(room=room, text=text) for text in ("one", "two\n\ndata: forged")]


def test_a_stream_begins_with_what_is_missing_and_goes_on(site, rows):
    one, two = rows
    head, missed = site.request("/events/", headers=[[b"last-event-id", str(one.pk).encode()]])
    site.layer.send("news", {"pk": two.pk + 1, "text": "three"})
    site.work()
    [later] = site.received(site.reply_channel)

    assert (head["status"], head["more_content"]) == (200, True)
    assert missed["content"] == b'id: %d\ndata: "two\\n\\ndata: forged"\n\n' % two.pk
    assert later == {"content": b'id: %d\ndata: "three"\n\n' % (two.pk + 1), "more_content": True}


@pytest.mark.parametrize("last", [b"", b"nonsense", b"-1", b"9" * 400])
def test_a_stream_takes_any_last_event_id(site, rows, last):
    [head, *missed] = site.request("/events/", headers=[[b"last-event-id", last]])

    assert head["status"] == 200
    assert len(missed) == (0 if last.isdigit() else 2)


@pytest.mark.parametrize("page", ["docs/streams.md", "docs/handler.md"])
def test_the_head_of_a_stream_comes_before_what_its_group_is_sent_meanwhile(serve, page):
    site = serve(page, "events")

    def send(**kwargs):
        site.layer.send_group("events", {"content": b"news", "more_content": True})

    consumer_finished.connect(send)
    try:
        head, news = site.request("/events/")
    finally:
        consumer_finished.disconnect(send)

    assert (head["status"], news["content"]) == (200, b"news")


def test_an_answer_comes_word_by_word(serve, open_socket):
    site = serve("docs/streams.md", "answer")
    socket = open_socket(site, "/")
    seen = []

    def look(message, **kwargs):
        if message.channel.name == "bot.ask":
            seen.extend(site.received(socket.reply_channel))

    socket.connect()
    consumer_finished.connect(look)
    try:
        late = socket.send("Why?")
    finally:
        consumer_finished.disconnect(look)

    assert [content["text"] for content in seen] == ["You", "have", "asked:", "Why?"]
    assert late == []
