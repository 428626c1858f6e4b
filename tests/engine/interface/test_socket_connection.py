"""One socket between a client and the layer: how it opens, and what travels in both directions."""

import asyncio

import pytest

from channels.interface.limits import Limits
from channels.interface.workers import GROUP

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
    reply_channel = (await server.message("websocket.connect"))["reply_channel"]
    await asyncio.sleep(1)

    assert await server.message("websocket.receive") is None

    await server.reply(reply_channel, {"accept": True})
    messages = [await server.message("websocket.receive"), await server.message("websocket.receive")]
    assert [(message["text"], message["order"]) for message in messages] == [("early", 1), ("too", 2)]


@pytest.mark.parametrize("answer", [{"accept": True}, {"accept": False}, None])
async def test_a_client_that_leaves_before_its_consumer_has_finished_is_reported_then(answer):
    server = InterfaceServer()
    socket = await server.socket()
    connect = await server.take("websocket.connect")
    socket.writes(text="early")
    socket.leaves(1006)
    await asyncio.sleep(60)
    assert await server.message("websocket.disconnect") is None

    await server.finish(connect, answer)

    reply_channel = connect.content["reply_channel"]
    disconnect = await server.message("websocket.disconnect")
    assert disconnect == {"reply_channel": reply_channel, "path": "/rooms/", "code": 1006, "order": 1}
    assert (socket.sent, socket.task.done()) == ([], True)
    # It was never accepted, so no consumer hears of the frame.
    assert await server.message("websocket.receive") is None
    assert server.layer.channel_statistics("websocket.receive")["dropped"] == {"its socket was closed": 1}


@pytest.mark.parametrize("leaves", [True, False])
async def test_a_socket_whose_connect_message_is_lost_is_reported(leaves):
    server = InterfaceServer(Limits(handshake_timeout=5))
    socket = await server.socket()
    connect = await server.take("websocket.connect")
    if leaves:
        socket.leaves()
    await asyncio.sleep(6)
    before = await server.message("websocket.disconnect")

    await server.lose(connect)

    assert before is None
    assert (await server.message("websocket.disconnect"))["order"] == 1


async def test_a_socket_that_no_worker_reads_of_is_reported_when_its_connect_message_has_expired():
    server = InterfaceServer(expiry=20)
    await server.socket()

    await asyncio.sleep(19)
    assert await server.message("websocket.disconnect") is None

    await asyncio.sleep(15)
    assert (await server.message("websocket.disconnect"))["order"] == 1
    assert await server.message("websocket.connect") is None


async def test_a_rejected_socket_closes_and_is_reported():
    server = InterfaceServer()
    socket = await server.socket()
    reply_channel = (await server.message("websocket.connect"))["reply_channel"]

    await server.reply(reply_channel, {"accept": False})

    assert socket.sent == [close(1000)]
    assert (await server.message("websocket.disconnect"))["reply_channel"] == reply_channel
    assert socket.task.done()


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
        "worker that reads websocket.connect has been heard of yet: start one with "
        "'get_channel_layer(worker_threads=4)'."
    ]


async def test_the_log_says_whether_workers_are_there(caplog):
    server = InterfaceServer(Limits(handshake_timeout=2))
    await server.socket()
    server.layer.send_group(GROUP, {"reads": ["websocket.connect"]})

    await asyncio.sleep(2.1)

    assert "Workers that read websocket.connect are there." in caplog.text


async def test_an_answer_after_the_handshake_timeout_lets_the_disconnect_follow():
    server = InterfaceServer(Limits(handshake_timeout=2))
    socket = await server.socket()
    connect = await server.take("websocket.connect")
    await asyncio.sleep(10)
    assert await server.message("websocket.disconnect") is None

    await server.finish(connect, {"accept": True})

    assert (await server.message("websocket.disconnect"))["code"] == 1000
    assert socket.sent == [close(1000)]


@pytest.mark.parametrize("end", ["stop", "handshake"])
async def test_a_socket_that_ends_before_the_layer_has_refused_it_is_told_once(end, monkeypatch):
    server = InterfaceServer(Limits(handshake_timeout=2))

    async def refuse_slowly(batch):
        await asyncio.sleep(3)
        return list(batch)

    monkeypatch.setattr(server.layer, "send_many_async", refuse_slowly)
    socket = await server.socket(**HTTP_RESPONSE)
    if end == "stop":
        await server.stop()
    await asyncio.sleep(5)

    assert (socket.sent, socket.task.done()) == ([close(1012 if end == "stop" else 1000)], True)
    monkeypatch.undo()
    assert await server.message("websocket.disconnect") is None


@pytest.mark.parametrize("arrives", [True, False])
async def test_a_socket_that_is_cancelled_while_its_connect_message_is_under_way_is_reported_in_the_end(
    arrives, monkeypatch
):
    """Nobody knows whether the message got there; if it did not, that is found out."""
    server = InterfaceServer()
    send_many_async = server.layer.send_many_async

    async def send_late(batch):
        await asyncio.sleep(1)
        return await send_many_async(batch) if arrives else []

    with monkeypatch.context() as slow:
        slow.setattr(
            server.layer, "send_many_async", lambda batch: asyncio.shield(asyncio.create_task(send_late(batch)))
        )
        socket = await server.socket()
        socket.task.cancel()
        await settle()
    await asyncio.sleep(2)
    connect, before = await server.take("websocket.connect"), await server.message("websocket.disconnect")
    await asyncio.sleep(20)
    if arrives:
        assert await server.message("websocket.disconnect") is None
        await server.finish(connect, {"accept": True})

    assert (socket.task.done(), bool(connect), before) == (True, arrives, None)
    assert (await server.message("websocket.disconnect"))["code"] == 1012


@pytest.mark.parametrize("at_once", [False, True], ids=["and leaves then", "and leaves at once"])
async def test_what_comes_back_before_the_layer_says_that_it_has_taken_a_message_is_not_missed(at_once, monkeypatch):
    server = InterfaceServer()
    send_many_async = server.layer.send_many_async

    async def tell_late(batch):
        refused = await send_many_async(batch)
        if batch[0].name.startswith("websocket."):
            await server.finish(server.layer.take([batch[0].name]), {"text": batch[0].name})
        return refused

    monkeypatch.setattr(server.layer, "send_many_async", tell_late)
    socket = await server.socket()
    for _ in range(3):
        socket.writes(text="x")
    if not at_once:
        await asyncio.sleep(1)
    socket.leaves()
    await asyncio.sleep(1)

    receive = text("websocket.receive")
    if not at_once:
        assert socket.sent == [ACCEPT, text("websocket.connect"), receive, receive, receive]
    assert socket.task.done()
    assert server.layer.channel_statistics("websocket.receive")["messages_received"] == 3
    assert server.layer.channel_statistics("websocket.disconnect")["messages_count"] == 1


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


async def test_a_full_receive_channel_holds_up_the_socket_until_there_is_room():
    server = InterfaceServer(Limits(full_timeout=2), channel_capacity={"websocket.receive": 1})
    server.layer.send("websocket.receive", {"text": "of somebody else"})
    socket, _ = await server.open_socket()
    for number in range(40):
        socket.writes(text=str(number))
    await asyncio.sleep(1)
    # The connect event and the frame that waits for room: nothing more is read meanwhile.
    assert socket.received == 1 + 1

    server.layer.receive(["websocket.receive"])
    await asyncio.sleep(1)
    messages = [(await server.message("websocket.receive"))["text"] for _ in range(40)]

    assert messages == [str(number) for number in range(40)]
    assert socket.sent == []


async def test_a_receive_channel_that_stays_full_closes_the_socket_with_1013_and_what_is_lost_is_counted(caplog):
    server = InterfaceServer(Limits(full_timeout=2), channel_capacity={"websocket.receive": 1})
    socket, _ = await server.open_socket()
    for number in range(10):
        socket.writes(text=str(number))
    first = await server.take("websocket.receive")
    server.layer.send("websocket.receive", {"text": "of somebody else"})
    await server.finish(first)

    await asyncio.sleep(1.9)
    assert socket.sent == []

    await asyncio.sleep(0.2)
    assert socket.sent == [close(1013)]
    assert caplog.messages[0].startswith("Socket '/rooms/' closed: The channel 'websocket.receive' holds 1 messages")
    disconnect = await server.message("websocket.disconnect")
    assert (disconnect["code"], disconnect["order"]) == (1013, 3)
    assert server.layer.channel_statistics("websocket.receive")["dropped"] == {"its socket was closed": 9}


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
    server.layer.send("websocket.receive", {"text": "of somebody else"})
    socket, reply_channel = await server.open_socket()
    socket.writes(text="waits for room")
    await settle()

    await server.reply(reply_channel, {"close": 4000})
    assert socket.sent == [close(4000)]
    assert await server.message("websocket.disconnect") is None

    server.layer.receive(["websocket.receive"])
    await asyncio.sleep(1)
    frame = await server.message("websocket.receive")
    disconnect = await server.message("websocket.disconnect")
    assert (frame["order"], disconnect["order"], disconnect["code"]) == (1, 2, 4000)


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
