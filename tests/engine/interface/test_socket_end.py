"""The end of a socket: told to the consumers exactly once, whatever the reason, and forced on those who do not read."""

import asyncio

import pytest

from channels.interface.limits import Limits
from channels.interface.socket_connection import CLOSE_TIMEOUT

from .interface_server import InterfaceServer
from .simulated_time import settle


def text(text):
    return {"type": "websocket.send", "text": text}


def close(code):
    return {"type": "websocket.close", "code": code}


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
    assert caplog.messages == ["Socket '/rooms/' closed: it reads too slowly and its outbox is full"]
    assert (await server.message("websocket.disconnect"))["code"] == 1013

    slow.reads.set()
    await settle()
    # What the server had taken already, and then nothing of what waited.
    assert slow.sent == [text("0"), close(1013)]


async def test_a_slow_reader_is_closed_with_1013_even_by_a_message_that_closes_it():
    server = InterfaceServer(Limits(socket_outbox_length=2))
    slow, reply_channel = await server.open_socket()
    slow.reads.clear()

    for number in range(3):
        await server.reply(reply_channel, {"text": str(number)})
    await server.reply(reply_channel, {"text": "3", "close": 4000})
    slow.reads.set()
    await settle()

    assert slow.sent == [text("0"), {"type": "websocket.close", "code": 1013}]


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
