"""The rules of one socket's life, as tables of plain values."""

import logging

import pytest

from channels.interface.websocket import MAX_EARLY_BROADCASTS, State, WebSocket

REPLY_CHANNEL = "reply.a1!s1"
ACCEPT = {"type": "websocket.accept", "subprotocol": None}


def text(text):
    return {"type": "websocket.send", "text": text}


def data(data):
    return {"type": "websocket.send", "bytes": data}


def close(code):
    return {"type": "websocket.close", "code": code}


@pytest.fixture
def socket():
    return WebSocket("/rooms/", REPLY_CHANNEL)


@pytest.fixture
def open_socket(socket):
    socket.reply({"accept": True})
    return socket


# Messages to the layer


def test_the_connect_message_has_all_that_the_server_knows():
    socket = WebSocket("/sub/rooms/", REPLY_CHANNEL, "/sub")
    scope = {
        "type": "websocket",
        "scheme": "wss",
        "path": "/sub/rooms/",
        "query_string": b"a=%C3%A9",
        "root_path": "/sub",
        "headers": [(b"Host", b"example.org"), (b"cookie", b"a=1"), (b"Cookie", b"b=2")],
        "subprotocols": ["chat", "superchat"],
        "client": ("10.0.0.1", 4711),
        "server": ("10.0.0.2", 80),
    }

    assert socket.connect_message(scope) == {
        "reply_channel": REPLY_CHANNEL,
        "scheme": "wss",
        "path": "/sub/rooms/",
        "query_string": b"a=%C3%A9",
        "root_path": "/sub",
        "headers": [[b"host", b"example.org"], [b"cookie", b"a=1"], [b"cookie", b"b=2"]],
        "subprotocols": ["chat", "superchat"],
        "client": ["10.0.0.1", 4711],
        "server": ["10.0.0.2", 80],
        "order": 0,
    }


def test_the_connect_message_is_whole_even_if_the_server_knows_little(socket):
    assert socket.connect_message({"type": "websocket", "path": "/rooms/", "client": None}) == {
        "reply_channel": REPLY_CHANNEL,
        "scheme": "ws",
        "path": "/rooms/",
        "query_string": b"",
        "root_path": "",
        "headers": [],
        "subprotocols": [],
        "client": None,
        "server": None,
        "order": 0,
    }


@pytest.mark.parametrize(
    ("event", "data"),
    [
        ({"text": "hello"}, {"text": "hello"}),
        ({"text": ""}, {"text": ""}),
        ({"text": "hello", "bytes": None}, {"text": "hello"}),
        ({"bytes": b"\x00\xff"}, {"bytes": b"\x00\xff"}),
        ({"bytes": b""}, {"bytes": b""}),
        ({"bytes": b"x", "text": None}, {"bytes": b"x"}),
        ({"bytes": None, "text": None}, {"bytes": b""}),
    ],
)
def test_a_frame_becomes_a_message_with_text_or_with_bytes(open_socket, event, data):
    message = open_socket.receive_message({"type": "websocket.receive", **event})

    assert message == {"reply_channel": REPLY_CHANNEL, "path": "/rooms/", "order": 1, **data}


def test_the_messages_of_a_socket_are_numbered_in_one_row(socket):
    first = socket.connect_message({"path": "/rooms/"})
    socket.reply({"accept": True})
    frames = [socket.receive_message({"text": "x"}) for _ in range(3)]
    socket.leave(1001)

    assert [message["order"] for message in [first, *frames, socket.take_disconnect_message()]] == [0, 1, 2, 3, 4]


def test_below_a_root_path_every_message_has_it():
    socket = WebSocket("/sub/rooms/", REPLY_CHANNEL, "/sub")
    socket.reply({"accept": True})
    frame, will = socket.receive_message({"text": "x"}), socket.last_will()
    socket.leave(1001)

    name = {"reply_channel": REPLY_CHANNEL, "path": "/sub/rooms/", "root_path": "/sub"}
    assert frame == {**name, "text": "x", "order": 1}
    assert will == {**name, "code": 1006, "order": None}
    assert socket.take_disconnect_message() == {**name, "code": 1001, "order": 2}


# The answer to the connect message


@pytest.mark.parametrize(
    ("answer", "events", "state"),
    [
        ({"accept": True}, [ACCEPT], State.OPEN),
        ({"accept": True, "text": "hi"}, [ACCEPT, text("hi")], State.OPEN),
        ({"accept": True, "text": ""}, [ACCEPT, text("")], State.OPEN),
        ({"accept": True, "bytes": b""}, [ACCEPT, data(b"")], State.OPEN),
        ({"text": "hi"}, [ACCEPT, text("hi")], State.OPEN),
        ({"text": ""}, [ACCEPT, text("")], State.OPEN),
        ({"bytes": b"hi"}, [ACCEPT, data(b"hi")], State.OPEN),
        ({"accept": None, "text": "hi", "bytes": None, "close": None}, [ACCEPT, text("hi")], State.OPEN),
        ({"text": "bye", "close": True}, [ACCEPT, text("bye"), close(1000)], State.CLOSED),
        ({"accept": True, "close": 4001}, [ACCEPT, close(4001)], State.CLOSED),
        ({"accept": False}, [close(1000)], State.CLOSED),
        ({"accept": False, "text": "hi"}, [close(1000)], State.CLOSED),
        ({"close": True}, [close(1000)], State.CLOSED),
        ({"close": 4001}, [close(4001)], State.CLOSED),
        ({}, [], State.CONNECTING),
        ({"close": False}, [], State.CONNECTING),
        ({"subprotocol": "chat"}, [], State.CONNECTING),
    ],
)
def test_an_answer_accepts_or_rejects(socket, answer, events, state):
    assert (socket.reply(answer), socket.state) == (events, state)


def test_an_answer_may_choose_a_subprotocol_that_the_client_offered(socket):
    socket.connect_message({"subprotocols": ["chat", "talk"]})

    assert socket.reply({"text": "hi", "subprotocol": "talk"}) == [
        {"type": "websocket.accept", "subprotocol": "talk"},
        text("hi"),
    ]


@pytest.mark.parametrize("chosen", ["other", "chat, talk", "chat\r\nx-injected: 1", b"chat", ["chat"], 5])
def test_any_other_subprotocol_is_left_out_with_a_warning(socket, chosen, caplog):
    socket.connect_message({"subprotocols": ["chat", "talk"]})

    assert socket.reply({"accept": True, "subprotocol": chosen}) == [ACCEPT]
    assert caplog.messages == [
        f"A consumer chose the subprotocol {chosen!r} for socket '/rooms/', whose client offered chat, talk; "
        "none is used"
    ]


@pytest.mark.parametrize("chosen", [None, ""])
def test_no_subprotocol_needs_no_warning(socket, chosen, caplog):
    assert socket.reply({"accept": True, "subprotocol": chosen}) == [ACCEPT]
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ({"accept": True}, None),
        ({"accept": True, "messages_under_way": 5}, 5),
        ({"text": "", "messages_under_way": 1}, 1),
    ],
)
def test_the_accepting_reply_may_say_how_many_messages_are_under_way_at_a_time(socket, answer, number, caplog):
    socket.reply(answer)
    socket.reply({"messages_under_way": 9})

    assert (socket.messages_under_way, caplog.messages) == (number, [])


@pytest.mark.parametrize("wrong", [0, -1, True, 1.5, "2", [2]])
def test_any_other_number_of_messages_under_way_is_left_out_with_a_warning(socket, wrong, caplog):
    socket.reply({"accept": True, "messages_under_way": wrong})

    assert socket.messages_under_way is None
    assert caplog.messages == [
        f"A consumer has accepted a socket with messages_under_way {wrong!r}; expected a whole number above 0"
    ]


# While it is open


@pytest.mark.parametrize(
    ("reply", "events", "state"),
    [
        ({"text": "hi"}, [text("hi")], State.OPEN),
        ({"text": ""}, [text("")], State.OPEN),
        ({"bytes": b""}, [data(b"")], State.OPEN),
        ({"text": "bye", "close": 3000}, [text("bye"), close(3000)], State.CLOSED),
        ({"close": True}, [close(1000)], State.CLOSED),
        ({"close": False}, [], State.OPEN),
        ({"accept": True}, [], State.OPEN),
        ({"accept": False}, [], State.OPEN),
        ({}, [], State.OPEN),
    ],
)
def test_a_reply_and_a_group_message_do_the_same_to_an_open_socket(reply, events, state):
    for method in (WebSocket.reply, WebSocket.broadcast):
        socket = WebSocket("/", REPLY_CHANNEL)
        socket.reply({"accept": True})

        assert (method(socket, reply), socket.state) == (events, state)


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1008, 1011, 1012, 1013, 3000, 4999])
def test_close_codes_that_a_peer_may_see_are_sent(open_socket, code):
    assert open_socket.reply({"close": code}) == [close(code)]
    assert open_socket.take_disconnect_message()["code"] == code


@pytest.mark.parametrize("code", [1, 999, 1004, 1005, 1006, 1015, 2999, 5000, -1, "1000", 1000.5, [4000]])
def test_other_close_codes_become_1000_with_a_warning(open_socket, code, caplog):
    assert open_socket.reply({"close": code}) == [close(1000)]
    assert f"with the code {code!r}, which cannot be sent; 1000 is sent instead" in caplog.text


# Mistakes


@pytest.mark.parametrize(
    "wrong",
    [{"text": "a", "bytes": b"b"}, {"text": "", "bytes": b""}, {"text": b"a"}, {"bytes": "b"}, {"text": 1}],
)
def test_a_reply_without_clear_data_is_ignored_and_logged(socket, wrong, caplog):
    assert socket.reply({"accept": True, **wrong}) == []
    assert socket.state is State.CONNECTING

    socket.reply({"accept": True})
    assert socket.reply(wrong) == []
    assert socket.broadcast(wrong) == []
    assert socket.state is State.OPEN
    assert caplog.messages == ["Reply to socket '/rooms/' ignored: it needs text (str) or bytes, not both"] * 3


def test_unknown_keys_are_ignored_and_logged(open_socket, caplog):
    assert open_socket.reply({"text": "hi", "status": 200, "content": b""}) == [text("hi")]
    assert open_socket.broadcast({"text": "hi", "status": 200}) == [text("hi")]
    assert caplog.messages == [
        "Reply to socket '/rooms/' has unknown keys, ignored: content, status",
        "Reply to socket '/rooms/' has unknown keys, ignored: status",
    ]


# Group messages to a socket that is still connecting


def test_a_group_message_cannot_accept_and_follows_the_acceptance(socket):
    early = [socket.broadcast({"text": "1"}), socket.broadcast({"accept": True, "text": "2"})]

    assert (early, socket.state) == ([[], []], State.CONNECTING)
    assert socket.reply({"accept": True, "text": "0"}) == [ACCEPT, text("0"), text("1"), text("2")]


def test_an_early_group_message_that_closes_is_the_last_one(socket):
    socket.broadcast({"text": "bye", "close": 4000})
    socket.broadcast({"text": "too late"})

    assert socket.reply({"accept": True}) == [ACCEPT, text("bye"), close(4000)]


def test_early_group_messages_are_bounded(socket):
    for number in range(MAX_EARLY_BROADCASTS + 1):
        socket.broadcast({"text": str(number)})

    events = socket.reply({"accept": True})

    assert events == [ACCEPT, *(text(str(number)) for number in range(MAX_EARLY_BROADCASTS))]


def test_a_rejected_socket_gets_no_group_message(socket):
    socket.broadcast({"text": "1"})

    assert socket.reply({"accept": False}) == [close(1000)]
    assert socket.broadcast({"text": "2"}) == []


# The end


def accept(socket):
    socket.reply({"accept": True})


ENDS = {
    "the client left": (accept, lambda socket: socket.leave(1001), 1001),
    "a consumer closed it": (accept, lambda socket: socket.reply({"close": 4000}), 4000),
    "a group message closed it": (accept, lambda socket: socket.broadcast({"close": True}), 1000),
    "the server closed it": (accept, lambda socket: socket.close(1012), 1012),
    "a consumer rejected it": (lambda socket: None, lambda socket: socket.reply({"accept": False}), 1000),
    "it left before the answer": (lambda socket: None, lambda socket: socket.leave(1001), 1001),
    "it expired before the answer": (lambda socket: None, lambda socket: socket.close(1000), 1000),
}


@pytest.mark.parametrize(("before", "end", "code"), ENDS.values(), ids=ENDS)
def test_one_disconnect_message_whatever_ended_it(socket, before, end, code):
    before(socket)
    assert socket.take_disconnect_message() is None

    end(socket)

    expected = {"reply_channel": REPLY_CHANNEL, "path": "/rooms/", "code": code, "order": 1}
    assert socket.take_disconnect_message() == expected
    for again in (lambda: socket.leave(1006), lambda: socket.close(1012), lambda: accept(socket)):
        again()
        assert (socket.state, socket.take_disconnect_message()) == (State.CLOSED, None)


@pytest.mark.parametrize("end", [lambda socket: socket.leave(1001), lambda socket: socket.close(1012)])
def test_a_socket_that_has_left_before_the_answer_is_not_accepted_by_it(socket, end):
    end(socket)

    assert socket.reply({"accept": True}) == socket.broadcast({"text": "hi"}) == []
    assert (socket.state, socket.was_accepted) == (State.CLOSED, False)


def test_a_socket_that_nobody_has_heard_of_ends_in_silence(socket):
    socket.forget_disconnect()

    assert (socket.state, socket.take_disconnect_message()) == (State.CLOSED, None)


@pytest.mark.parametrize("late", [{"accept": True}, {"text": "late"}, {"close": 4000}])
def test_what_comes_after_the_end_is_dropped(open_socket, late, caplog):
    open_socket.leave(1001)

    assert open_socket.reply(late) == []
    assert open_socket.broadcast(late) == []
    assert open_socket.close(1012) == []
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
