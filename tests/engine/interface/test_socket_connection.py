"""One socket between a client and the layer: how it opens, and what travels in both directions."""

import asyncio

import pytest

from channels.interface.limits import Limits

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
        "Socket '/rooms/' rejected: no consumer has answered its websocket.connect message within 2 s. A connect "
        "consumer must send {'accept': True} to message.reply_channel; what it sends to a group accepts no socket. No "
        "worker is listening on websocket.connect: start one with 'manage.py runworker'."
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
        "Socket '/rooms/' refused: The channel 'websocket.connect' holds 1 messages that nobody has read. Start more "
        "workers for it, or raise 'capacity' or 'channel_capacity' in the CONFIG of CHANNEL_LAYERS."
    ]
    await asyncio.sleep(100)
    assert server.layer.channel_statistics("websocket.disconnect")["messages_count"] == 1


async def test_a_socket_whose_headers_are_too_large_for_the_layer_is_rejected_and_nobody_hears_of_it(caplog):
    server = InterfaceServer(max_message_size=1000)

    socket = await server.socket(headers=[(b"x-huge", b"x" * 1000)])

    assert socket.sent == [close(1009)]
    assert caplog.messages[0].startswith("Socket '/rooms/' rejected: ")
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
    assert caplog.messages[0].startswith("Socket '/rooms/' closed: The channel 'websocket.receive' holds 2 messages")
    disconnect = await server.message("websocket.disconnect")
    assert (disconnect["code"], disconnect["order"]) == (1013, 4)
    assert server.layer.channel_statistics("websocket.receive")["messages_count"] == 2


async def test_a_frame_that_is_too_large_for_the_layer_closes_the_socket_with_1009(caplog):
    server = InterfaceServer(max_message_size=1000)
    socket, _ = await server.open_socket()

    socket.writes(text="x" * 1000)

    assert (await server.message("websocket.disconnect"))["code"] == 1009
    assert socket.sent == [close(1009)]
    assert caplog.messages[0].startswith("Socket '/rooms/' closed: ")
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
        "Reply to socket '/rooms/' ignored: it needs text (str) or bytes, not both",
        "Reply to socket '/rooms/' has unknown keys, ignored: colour",
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
