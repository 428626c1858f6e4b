"""The rules of one request and its response, as tables of plain values."""

import pytest

from channels.interface.http import CLOSE, HttpExchange, State

REPLY_CHANNEL = "reply.a1!r1"


def start(status=200, *headers):
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(content=b"", more=False):
    return {"type": "http.response.body", "body": content, "more_body": more}


@pytest.fixture
def exchange():
    return HttpExchange("/page/", REPLY_CHANNEL)


# The request message


def test_the_request_message_has_all_that_the_server_knows():
    exchange = HttpExchange("/sub/page/", REPLY_CHANNEL, "/sub")
    scope = {
        "type": "http",
        "http_version": "2",
        "method": "POST",
        "scheme": "https",
        "path": "/sub/page/",
        "query_string": b"a=%ff",
        "root_path": "/sub",
        "headers": [(b"Host", b"example.org"), (b"X-Twice", b"1"), (b"x-twice", b"2")],
        "client": ("10.0.0.1", 4711),
        "server": ("/run/site.sock", None),
    }

    assert exchange.request_message(scope, b"body", None) == {
        "reply_channel": REPLY_CHANNEL,
        "http_version": "2",
        "method": "POST",
        "scheme": "https",
        "path": "/sub/page/",
        "query_string": b"a=%ff",
        "root_path": "/sub",
        "headers": [[b"host", b"example.org"], [b"x-twice", b"1"], [b"x-twice", b"2"]],
        "body": b"body",
        "body_channel": None,
        "client": ["10.0.0.1", 4711],
        "server": ["/run/site.sock", None],
    }


def test_the_request_message_is_whole_even_if_the_server_knows_little(exchange):
    assert exchange.request_message({"type": "http", "method": "GET", "path": "/page/"}, b"", "parts?x") == {
        "reply_channel": REPLY_CHANNEL,
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/page/",
        "query_string": b"",
        "root_path": "",
        "headers": [],
        "body": b"",
        "body_channel": "parts?x",
        "client": None,
        "server": None,
    }


# The response


@pytest.mark.parametrize(
    ("replies", "events", "state"),
    [
        ([{"status": 204}], [start(204), body()], State.DONE),
        ([{"status": 200, "content": b"all"}], [start(), body(b"all")], State.DONE),
        ([{"status": 200, "content": b"all", "more_content": False}], [start(), body(b"all")], State.DONE),
        ([{"status": 200, "more_content": True}], [start(), body(more=True)], State.STREAMING),
        (
            [{"status": 200, "content": b"1", "more_content": True}, {"content": b"2", "more_content": True}, {}],
            [start(), body(b"1", True), body(b"2", True), body()],
            State.DONE,
        ),
        (
            [{"status": 200, "headers": [[b"X-A", b"1"], ["x-a", "é"], ("x-b", 5)]}],
            [start(200, (b"x-a", b"1"), (b"x-a", b"\xe9"), (b"x-b", b"5")), body()],
            State.DONE,
        ),
        ([{"status": 200, "headers": None}], [start(), body()], State.DONE),
        ([{"status": 200}, {"content": b"more than all"}, {"status": 500}], [start(), body()], State.DONE),
    ],
)
def test_replies_become_a_response(exchange, replies, events, state):
    assert [event for reply in replies for event in exchange.reply(reply)] == events
    assert (exchange.state, exchange.aborted) == (state, False)


def test_content_that_is_no_bytes_is_sent_as_text_and_logged(exchange, caplog):
    assert exchange.reply({"status": 200, "content": "é"}) == [start(), body("é".encode())]
    assert caplog.messages == ["Response to '/page/' has content of type str, expected bytes"]


def test_unknown_keys_are_ignored_and_logged(exchange, caplog):
    assert exchange.reply({"status": 200, "text": "x", "reason": "OK"}) == [start(), body()]
    assert caplog.messages == ["Reply to request '/page/' has unknown keys, ignored: reason, text"]


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"content": b"x"},
        {"status": "200"},
        {"status": 99},
        {"status": 101},
        {"status": 199},
        {"status": 600},
        {"status": True},
        {"status": 200, "headers": [[b"x-a", b"1\r\nx-b: 2"]]},
        {"status": 200, "headers": [[b"x-a\r\nx-b", b"1"]]},
        {"status": 200, "headers": [["x-a", "漢字"]]},
        {"status": 200, "headers": [[b"x-a"]]},
        {"status": 200, "headers": [[b"x-a", b"1", b"2"]]},
        {"status": 200, "headers": [5]},
        {"status": 200, "headers": 5},
        {"status": 200, "headers": [[b"content-length", b"5"]], "content": b"1234"},
        {"status": 200, "headers": [[b"content-length", b"5"]], "content": b"123456"},
        {"status": 200, "headers": [[b"content-length", b"5"], [b"content-length", b"4"]], "content": b"12345"},
        {"status": 200, "headers": [[b"content-length", b"+5"]], "content": b"12345"},
        {"status": 200, "headers": [[b"content-length", b""]]},
    ],
    ids=repr,
)
def test_a_response_that_is_not_valid_becomes_status_500_and_is_logged(exchange, wrong, caplog):
    events = exchange.reply(wrong)

    text = b"The server produced a response that is not valid.\n"
    assert events == [
        start(500, (b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(text))),
        body(text),
    ]
    assert exchange.state is State.DONE
    assert "Response to '/page/' is not valid and becomes status 500: " in caplog.text


# RFC 9110, sections 5.1 and 5.5: a name is a token; a value has no control characters but tabs.
TOKEN = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize("byte", range(256))
def test_no_byte_in_a_header_can_make_another_header(byte):
    character = bytes([byte])
    in_name = HttpExchange("/", REPLY_CHANNEL).reply({"status": 200, "headers": [[b"x" + character, b"1"]]})
    in_value = HttpExchange("/", REPLY_CHANNEL).reply({"status": 200, "headers": [[b"x", b"1" + character]]})

    assert (in_name[0]["status"] == 200) is (character in TOKEN)
    assert (in_value[0]["status"] == 200) is (byte == 9 or (byte >= 32 and byte != 127))


def test_a_second_response_cuts_the_first_one_off(exchange, caplog):
    exchange.reply({"status": 200, "content": b"half", "more_content": True})

    assert exchange.reply({"status": 500, "content": b"sorry"}) == []
    assert (exchange.state, exchange.aborted) == (State.DONE, True)
    assert caplog.messages == ["Response to '/page/' is cut off: another one came before its end"]


# What HTTP does not allow


STREAM = [
    {"status": 200, "headers": [[b"content-length", b"4"]], "content": b"12", "more_content": True},
    {"content": b"34"},
]


@pytest.mark.parametrize("replies", [[{"status": 200, "content": b"1234"}], STREAM, [{"status": 404, "content": b""}]])
def test_the_response_to_head_has_no_content_and_nothing_follows(replies):
    exchange = HttpExchange("/page/", REPLY_CHANNEL, method="HEAD")
    begun, *rest = [event for reply in replies for event in exchange.reply(reply)]

    assert begun["headers"] == [tuple(header) for header in replies[0].get("headers", ())]
    assert rest == [body()]
    assert (exchange.state, exchange.aborted) == (State.DONE, False)


def test_a_refusal_of_head_has_no_content_either():
    begun, end = HttpExchange("/page/", REPLY_CHANNEL, method="HEAD").answer(503, "Please wait.")

    assert (begun["status"], end) == (503, body())


@pytest.mark.parametrize(("status", "kept"), [(204, []), (205, []), (304, [(b"content-length", b"4")])])
@pytest.mark.parametrize("more", [True, False])
def test_a_status_without_content_has_none(exchange, status, kept, more):
    reply = {"status": status, "headers": [[b"content-length", b"4"]], "content": b"1234", "more_content": more}

    assert exchange.reply(reply) == [start(status, *kept), body()]
    assert (exchange.state, exchange.reply({"content": b"5"})) == (State.DONE, [])


def test_blanks_around_the_value_of_a_header_are_left_out(exchange):
    assert exchange.reply({"status": 200, "headers": [[b"x-a", b" \t1 2\t"]]})[0] == start(200, (b"x-a", b"1 2"))


@pytest.mark.parametrize("name", [b"Connection", b"Transfer-Encoding", b"keep-alive", b"Upgrade"])
def test_headers_that_only_the_server_can_set_are_left_out_and_logged(exchange, name, caplog):
    events = exchange.reply({"status": 200, "headers": [[name, b"chunked"], [b"x-a", b"1"]]})

    assert events == [start(200, (b"x-a", b"1")), body()]
    assert caplog.messages == [
        f"Response to '/page/' has headers that are for the server to set, left out: {name.decode().lower()}"
    ]


@pytest.mark.parametrize("last", [{"content": b"3"}, {"content": b"345"}, {"content": b"345", "more_content": True}])
def test_a_stream_that_is_not_as_long_as_it_has_said_is_cut_off(exchange, last, caplog):
    exchange.reply(STREAM[0])

    assert exchange.reply(last) == []
    assert (exchange.state, exchange.aborted) == (State.DONE, True)
    assert caplog.messages == ["Response to '/page/' is cut off: it is not as long as its Content-Length says"]


# What the interface server says itself


def test_a_refusal_answers_the_request(exchange):
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"13"), (b"retry-after", b"5")]

    assert exchange.answer(503, "Please wait.") == [start(503, *headers), body(b"Please wait.\n")]
    assert exchange.state is State.DONE


def test_a_refusal_may_end_the_connection(exchange):
    [begun, _] = exchange.answer(408, "Too slow.", CLOSE)

    assert begun["headers"][-1] == (b"connection", b"close")


@pytest.mark.parametrize("reply", [{"status": 200}, {"status": 200, "more_content": True}])
def test_a_refusal_comes_too_late_once_an_answer_has_begun(exchange, reply):
    exchange.reply(reply)

    assert exchange.answer(503, "Please wait.") == []


def test_an_aborted_response_that_has_begun_is_cut_off(exchange):
    exchange.reply({"status": 200, "content": b"half", "more_content": True})

    assert exchange.reply({"abort": True}) == []
    assert (exchange.state, exchange.aborted) == (State.DONE, True)


def test_an_aborted_response_that_has_not_begun_becomes_status_500(exchange):
    events = exchange.reply({"abort": True})

    assert (events[0]["status"], exchange.state, exchange.aborted) == (500, State.DONE, False)


# The client leaves


@pytest.mark.parametrize("replies", [[], [{"status": 200, "more_content": True}]])
def test_a_client_that_leaves_too_early_is_reported_once(exchange, replies):
    for reply in replies:
        exchange.reply(reply)

    assert exchange.leave() == {"reply_channel": REPLY_CHANNEL, "path": "/page/"}
    assert exchange.leave() is None
    assert exchange.reply({"status": 200}) == []


def test_that_a_client_below_a_root_path_leaves_is_told_with_it():
    assert HttpExchange("/sub/page/", REPLY_CHANNEL, "/sub").leave() == {
        "reply_channel": REPLY_CHANNEL,
        "path": "/sub/page/",
        "root_path": "/sub",
    }


@pytest.mark.parametrize("end", [{"status": 200}, {"abort": True}])
def test_a_client_that_leaves_after_the_response_is_not_reported(exchange, end):
    exchange.reply(end)

    assert exchange.leave() is None
