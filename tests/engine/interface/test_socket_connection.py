"""One socket between a client and the layer: what is dispatched when, and what ends it."""

import asyncio

import pytest

from channels.interface.limits import Limits
from channels.interface.socket_connection import CLOSE_TIMEOUT

from .interface_server import InterfaceServer
from .simulated_time import settle

ACCEPT = {"type": "websocket.accept", "subprotocol": None}
HTTP_RESPONSE = {"extensions": {"websocket.http.response": {}}}


def text(text):
    return {"type": "websocket.send", "text": text}


def close(code):
    return {"type": "websocket.close", "code": code}


# Opening


async def test_the_connect_message_is_dispatched_and_its_answer_accepts():
    server = InterfaceServer()
    socket = await server.socket("/rooms/", query_string=b"a=1", headers=[(b"Origin", b"https://example.org")])

    connect = await server.message("websocket.connect")
    assert (connect["path"], connect["query_string"], connect["order"]) == ("/rooms/", b"a=1", 0)
    assert connect["headers"] == [[b"origin", b"https://example.org"]]
    assert socket.sent == []

    await server.reply(connect["reply_channel"], {"text": "welcome"})
    assert socket.sent == [ACCEPT, text("welcome")]


async def test_nothing_is_dispatched_before_the_answer():
    server = InterfaceServer()
    socket = await server.socket()
    socket.writes(text="early")
    socket.writes(text="too")
    socket.leaves()
    reply_channel = (await server.message("websocket.connect"))["reply_channel"]
    await asyncio.sleep(1)

    assert await server.message("websocket.receive") is None
    assert await server.message("websocket.disconnect") is None

    await server.reply(reply_channel, {"accept": True})
    messages = [await server.message("websocket.receive"), await server.message("websocket.receive")]
    assert [(message["text"], message["order"]) for message in messages] == [("early", 1), ("too", 2)]
    assert (await server.message("websocket.disconnect"))["order"] == 3


async def test_a_rejected_socket_closes_and_is_reported():
    server = InterfaceServer()
    socket = await server.socket()
    reply_channel = (await server.message("websocket.connect"))["reply_channel"]

    await server.reply(reply_channel, {"accept": False})

    assert socket.sent == [close(1000)]
    assert (await server.message("websocket.disconnect"))["reply_channel"] == reply_channel
    assert socket.task.done()


async def test_a_disconnect_waits_for_the_answer():
    server = InterfaceServer()
    socket = await server.socket()
    reply_channel = (await server.message("websocket.connect"))["reply_channel"]
    socket.leaves(1006)
    await asyncio.sleep(3)
    assert await server.message("websocket.disconnect") is None

    await server.reply(reply_channel, {"accept": True, "text": "welcome"})

    disconnect = await server.message("websocket.disconnect")
    assert disconnect == {"reply_channel": reply_channel, "path": "/rooms/", "code": 1006, "order": 1}
    assert socket.sent == []


async def test_an_unanswered_socket_is_rejected_and_the_log_says_that_no_worker_is_listening(caplog):
    server = InterfaceServer(Limits(handshake_timeout=2))
    socket = await server.socket()

    await asyncio.sleep(1.9)
    assert socket.sent == []

    await asyncio.sleep(0.2)
    assert socket.sent == [close(1000)]
    assert caplog.messages == [
        "Socket /rooms/ rejected: no consumer has answered its websocket.connect message within 2 s. A connect "
        "consumer must send {'accept': True} to message.reply_channel. No worker is listening on websocket.connect: "
        "start one with 'manage.py runworker'."
    ]


async def test_the_log_says_when_a_worker_has_been_there(caplog):
    server = InterfaceServer(Limits(handshake_timeout=2))
    await server.socket()
    await server.message("websocket.connect")

    await asyncio.sleep(2.1)

    assert "A worker last took a message from websocket.connect 2 s ago." in caplog.text


async def test_an_answer_after_the_handshake_timeout_lets_the_disconnect_follow():
    server = InterfaceServer(Limits(handshake_timeout=2))
    socket = await server.socket()
    reply_channel = (await server.message("websocket.connect"))["reply_channel"]
    await asyncio.sleep(10)
    assert await server.message("websocket.disconnect") is None

    await server.reply(reply_channel, {"accept": True})

    assert (await server.message("websocket.disconnect"))["reply_channel"] == reply_channel
    assert socket.sent == [close(1000)]


@pytest.mark.parametrize("leaves", [True, False])
async def test_a_socket_that_never_gets_an_answer_is_reported_when_its_message_has_expired(leaves):
    server = InterfaceServer(Limits(handshake_timeout=5), expiry=20)
    socket = await server.socket()
    await server.message("websocket.connect")
    if leaves:
        socket.leaves()

    await asyncio.sleep(24)
    assert await server.message("websocket.disconnect") is None

    await asyncio.sleep(2)
    assert (await server.message("websocket.disconnect"))["order"] == 1
    assert await server.message("websocket.disconnect") is None


@pytest.mark.parametrize(
    ("scope", "sent"),
    [
        (
            HTTP_RESPONSE,
            [
                {
                    "type": "websocket.http.response.start",
                    "status": 503,
                    "headers": [(b"retry-after", b"5"), (b"content-length", b"0")],
                },
                {"type": "websocket.http.response.body", "body": b"", "more_body": False},
            ],
        ),
        ({}, [ACCEPT, close(1013)]),
    ],
    ids=["a server that can answer 503", "one that cannot"],
)
async def test_a_full_connect_channel_refuses_the_socket_and_nobody_hears_of_it(scope, sent, caplog):
    server = InterfaceServer(capacity=1)
    await server.socket()

    socket = await server.socket(**scope)

    assert (socket.sent, socket.task.done()) == (sent, True)
    assert caplog.messages == [
        "Socket /rooms/ refused: The channel 'websocket.connect' holds 1 messages that nobody has read. Start more "
        "workers for it, or raise 'capacity' or 'channel_capacity' in the CONFIG of CHANNEL_LAYERS."
    ]
    await asyncio.sleep(100)
    assert server.layer.channel_statistics("websocket.disconnect")["messages_count"] == 1


async def test_a_socket_whose_headers_are_too_large_for_the_layer_is_rejected_and_nobody_hears_of_it(caplog):
    server = InterfaceServer(max_message_size=1000)

    socket = await server.socket(headers=[(b"x-huge", b"x" * 1000)])

    assert socket.sent == [close(1009)]
    assert caplog.messages[0].startswith("Socket /rooms/ rejected: ")
    await asyncio.sleep(100)
    assert socket.task.done()
    assert server.layer.global_statistics()["messages_count"] == 0


# Frames


async def test_frames_keep_their_kind_and_their_order():
    server = InterfaceServer()
    socket, reply_channel = await server.open_socket()
    for frame in [{"text": "a"}, {"text": ""}, {"bytes": b"\x00"}, {"bytes": b"", "text": None}]:
        socket.writes(**frame)

    messages = [await server.message("websocket.receive") for _ in range(4)]

    common = {"reply_channel": reply_channel, "path": "/rooms/"}
    assert messages == [
        {**common, "order": 1, "text": "a"},
        {**common, "order": 2, "text": ""},
        {**common, "order": 3, "bytes": b"\x00"},
        {**common, "order": 4, "bytes": b""},
    ]


async def test_a_full_receive_channel_stops_the_reading_until_there_is_room():
    server = InterfaceServer(Limits(full_timeout=2), channel_capacity={"websocket.receive": 2})
    socket, _ = await server.open_socket()
    for number in range(10):
        socket.writes(text=str(number))
    await asyncio.sleep(1)
    # The connect event, two frames that wait for a worker, and the one that waits for room.
    assert socket.received == 1 + 2 + 1

    messages = []
    while (message := await server.message("websocket.receive")) is not None:
        messages.append(message["text"])
        await asyncio.sleep(0.5)

    assert messages == [str(number) for number in range(10)]
    assert socket.sent == []


async def test_a_receive_channel_that_stays_full_closes_the_socket_with_1013(caplog):
    server = InterfaceServer(Limits(full_timeout=2), channel_capacity={"websocket.receive": 2})
    socket, _ = await server.open_socket()
    for number in range(10):
        socket.writes(text=str(number))

    await asyncio.sleep(1.9)
    assert socket.sent == []

    await asyncio.sleep(0.2)
    assert socket.sent == [close(1013)]
    assert caplog.messages[0].startswith("Socket /rooms/ closed: The channel 'websocket.receive' holds 2 messages")
    disconnect = await server.message("websocket.disconnect")
    assert (disconnect["code"], disconnect["order"]) == (1013, 4)
    assert server.layer.channel_statistics("websocket.receive")["messages_count"] == 2


async def test_a_frame_that_is_too_large_for_the_layer_closes_the_socket_with_1009(caplog):
    server = InterfaceServer(max_message_size=1000)
    socket, _ = await server.open_socket()

    socket.writes(text="x" * 1000)

    assert (await server.message("websocket.disconnect"))["code"] == 1009
    assert socket.sent == [close(1009)]
    assert caplog.messages[0].startswith("Socket /rooms/ closed: ")
    assert await server.message("websocket.receive") is None


async def test_a_disconnect_does_not_overtake_a_frame_that_waits_for_room():
    server = InterfaceServer(Limits(full_timeout=5), channel_capacity={"websocket.receive": 1})
    socket, reply_channel = await server.open_socket()
    socket.writes(text="first")
    socket.writes(text="second")
    await settle()

    await server.reply(reply_channel, {"close": 4000})
    assert socket.sent == [close(4000)]
    assert await server.message("websocket.disconnect") is None

    await server.message("websocket.receive")
    await asyncio.sleep(1)
    second = await server.message("websocket.receive")
    disconnect = await server.message("websocket.disconnect")
    assert (second["order"], disconnect["order"], disconnect["code"]) == (2, 3, 4000)


# Replies


async def test_replies_arrive_in_order_and_wrong_ones_are_logged(caplog):
    server = InterfaceServer()
    socket, reply_channel = await server.open_socket()
    for reply in [{"text": "1"}, {"text": "x", "bytes": b"x"}, {"bytes": b"2", "colour": "red"}, {"text": ""}]:
        server.layer.send(reply_channel, reply)
    await settle()

    assert socket.sent == [text("1"), {"type": "websocket.send", "bytes": b"2"}, text("")]
    assert caplog.messages == [
        "Reply to socket /rooms/ ignored: it needs text (str) or bytes, not both",
        "Reply to socket /rooms/ has unknown keys, ignored: colour",
    ]


async def test_a_reply_after_the_close_is_dropped():
    server = InterfaceServer()
    socket, reply_channel = await server.open_socket()
    for reply in [{"text": "bye", "close": True}, {"text": "late"}, {"close": 4000}]:
        server.layer.send(reply_channel, reply)
    await settle()
    await server.reply(reply_channel, {"text": "far too late"})

    assert socket.sent == [text("bye"), close(1000)]
    assert socket.task.done()


async def test_a_group_message_before_the_acceptance_comes_after_it():
    server = InterfaceServer()
    socket = await server.socket()
    reply_channel = (await server.message("websocket.connect"))["reply_channel"]
    server.layer.group_add("room", reply_channel)
    server.layer.send_group("room", {"text": "early"})
    await settle()
    assert socket.sent == []

    await server.reply(reply_channel, {"accept": True, "text": "welcome"})

    assert socket.sent == [ACCEPT, text("welcome"), text("early")]


# What ends a socket


ENDS = {
    "the client": (lambda server, socket, channel: socket.leaves(4001), 4001),
    "the client, without a code": (lambda server, socket, channel: socket.leaves(None), 1005),
    "a consumer": (lambda server, socket, channel: server.layer.send(channel, {"close": 4002}), 4002),
    "a group message": (lambda server, socket, channel: server.layer.send_group("room", {"close": 4003}), 4003),
    "the server": (lambda server, socket, channel: server.application.process().begin_stop(), 1012),
    "its cancellation": (lambda server, socket, channel: socket.task.cancel(), 1012),
    "two at once": (lambda server, socket, channel: (socket.leaves(4001), socket.leaves(4001)), 4001),
}


@pytest.mark.parametrize(("end", "code"), ENDS.values(), ids=ENDS)
async def test_exactly_one_disconnect_whatever_ended_it(end, code):
    server = InterfaceServer()
    socket, reply_channel = await server.open_socket("room")

    end(server, socket, reply_channel)

    expected = {"reply_channel": reply_channel, "path": "/rooms/", "code": code, "order": 1}
    assert await server.message("websocket.disconnect") == expected
    assert socket.task.done()
    socket.leaves()
    await server.reply(reply_channel, {"close": True})
    await asyncio.sleep(100)
    assert server.layer.channel_statistics("websocket.disconnect")["messages_count"] == 1
    assert server.layer.group_channels("room") == []


async def test_a_full_disconnect_channel_takes_every_disconnect_in_the_end():
    server = InterfaceServer(channel_capacity={"websocket.disconnect": 3})
    sockets = [await server.open_socket() for _ in range(50)]
    for socket, _ in sockets:
        socket.leaves()

    reported = []
    while (message := await server.message("websocket.disconnect")) is not None:
        reported.append(message["reply_channel"])
        await asyncio.sleep(0.5)

    assert sorted(reported) == sorted(reply_channel for _, reply_channel in sockets)


# Slow readers


async def test_a_slow_reader_is_closed_with_1013_and_harms_nobody_else(caplog):
    server = InterfaceServer(Limits(socket_outbox_length=10))
    slow, _ = await server.open_socket("room")
    quick, _ = await server.open_socket("room")
    slow.reads.clear()

    for number in range(20):
        server.layer.send_group("room", {"text": str(number)})
        await settle()

    assert quick.sent == [text(str(number)) for number in range(20)]
    assert caplog.messages == ["Socket /rooms/ closed: it reads too slowly and its outbox is full"]
    assert (await server.message("websocket.disconnect"))["code"] == 1013

    slow.reads.set()
    await settle()
    # What the server had taken already, and then nothing of what waited.
    assert slow.sent == [text("0"), close(1013)]


async def test_an_outbox_is_bounded_in_bytes_too():
    server = InterfaceServer(Limits(socket_outbox_size=1000))
    socket, reply_channel = await server.open_socket()
    socket.reads.clear()

    for _ in range(3):
        await server.reply(reply_channel, {"text": "x" * 600})

    assert (await server.message("websocket.disconnect"))["code"] == 1013


async def test_a_slow_reader_that_does_not_even_take_the_close_frame_is_cut_off():
    server = InterfaceServer(Limits(socket_outbox_length=1))
    socket, reply_channel = await server.open_socket()
    socket.reads.clear()
    for _ in range(3):
        await server.reply(reply_channel, {"text": "x"})

    await asyncio.sleep(CLOSE_TIMEOUT - 1)
    assert not socket.task.done()

    await asyncio.sleep(2)
    assert (socket.task.done(), socket.sent) == (True, [])
    assert socket.task.cancelled() or socket.task.exception() is None


async def test_nothing_is_read_from_a_client_after_the_close():
    server = InterfaceServer()
    socket, reply_channel = await server.open_socket()
    socket.leaves = lambda code=None: None

    await server.reply(reply_channel, {"text": "bye", "close": 4000})

    assert socket.sent == [text("bye"), close(4000)]
    # Closing the connection is left to the server, and some servers wait until nobody reads.
    assert (socket.task.done(), socket.task.cancelled()) == (True, False)
    assert (await server.message("websocket.disconnect"))["code"] == 4000


async def test_a_send_that_fails_is_no_more_than_a_message_lost():
    server = InterfaceServer()
    socket, reply_channel = await server.open_socket()
    socket.gone = True
    await server.reply(reply_channel, {"text": "lost"})
    await server.reply(reply_channel, {"text": "lost as well"})

    socket.leaves(1006)

    assert (await server.message("websocket.disconnect"))["code"] == 1006
    assert (socket.task.done(), socket.task.exception()) == (True, None)


# Groups of a dead socket


async def test_a_join_that_comes_after_the_end_is_taken_back():
    server = InterfaceServer()
    socket, reply_channel = await server.open_socket()
    socket.leaves()
    await server.message("websocket.disconnect")

    server.layer.group_add("room", reply_channel)
    await settle()

    assert server.layer.group_channels("room") == []


async def test_a_socket_that_leaves_while_its_consumer_runs_is_in_no_group_afterwards():
    server = InterfaceServer()
    socket = await server.socket()
    reply_channel = (await server.message("websocket.connect"))["reply_channel"]
    socket.leaves()
    await settle()

    server.layer.group_add("room", reply_channel)
    await server.reply(reply_channel, {"accept": True})

    assert (await server.message("websocket.disconnect"))["reply_channel"] == reply_channel
    assert server.layer.group_channels("room") == []
