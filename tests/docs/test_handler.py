"""A consumer answers itself; a long poll waits; an event stream goes on."""


def test_a_consumer_answers_a_request_with_text(serve):
    [reply] = serve("docs/handler.md", "hello").request("/hello/<script>")

    assert reply["status"] == 200
    assert reply["content"] == b"You asked for /hello/<script>"
    assert [b"content-type", b"text/plain; charset=utf-8"] in reply["headers"]


def test_a_long_poll_is_answered_when_there_is_news(serve):
    site = serve("docs/handler.md", "poll")
    at_first = site.request("/poll/")
    site.layer.send("news", {"text": "<b>Rain</b>"})
    site.work()
    [reply] = site.received(site.reply_channel)

    assert at_first == []
    assert (reply["status"], reply["content"]) == (200, b"<b>Rain</b>")
    assert [b"content-type", b"text/plain; charset=utf-8"] in reply["headers"]
    assert not reply.get("more_content")


def test_an_event_stream_stays_open_and_each_news_is_one_event(serve):
    site = serve("docs/handler.md", "events")
    [head] = site.request("/events/")
    events = []
    for text in ("Rain", "Snow\n\ndata: forged"):
        site.layer.send("news", {"text": text})
        site.work()
        events += site.received(site.reply_channel)

    assert (head["status"], head["more_content"]) == (200, True)
    assert events == [
        {"content": b'data: "Rain"\n\n', "more_content": True},
        {"content": b'data: "Snow\\n\\ndata: forged"\n\n', "more_content": True},
    ]
