"""The messages of one socket: what is with the workers at a time, what waits, and what is lost."""

import asyncio

import pytest

from channels.interface.limits import Limits
from channels.interface.socket_messages import MAX_FRAMES_AHEAD, MAX_SIZE_AHEAD

from .interface_server import InterfaceServer
from .simulated_time import settle


def close(code):
    return {"type": "websocket.close", "code": code}


async def socket_that_says(server, *frames, **reply):
    """Open a socket that a consumer accepts by this reply, and let it send frames."""
    socket = await server.socket()
    await server.finish(await server.take("websocket.connect"), {"accept": True, **reply})
    socket.sent.clear()
    for frame in frames:
        socket.writes(text=frame)
    await settle()
    return socket


async def take_all(server):
    """Take all frames that wait for a worker, and return them and their texts."""
    deliveries = []
    while (delivery := await server.take("websocket.receive")) is not None:
        deliveries.append(delivery)
    return deliveries, [delivery.content["text"] for delivery in deliveries]


# How many are under way


async def test_one_message_of_a_socket_is_under_way_at_a_time():
    server = InterfaceServer()
    await socket_that_says(server, *"abc")
    seen = []

    for _ in range(3):
        [delivery], texts = await take_all(server)
        seen += texts
        await asyncio.sleep(60)
        assert await take_all(server) == ([], [])
        await server.finish(delivery)

    assert seen == ["a", "b", "c"]


@pytest.mark.parametrize("width", [1, 3])
async def test_the_first_frame_waits_until_the_connect_consumer_has_finished(width):
    server = InterfaceServer(Limits(messages_under_way=width))
    socket = await server.socket()
    connect = await server.take("websocket.connect")
    await server.reply(connect.content["reply_channel"], {"accept": True})
    socket.writes(text="a")
    before = (await take_all(server))[1]

    await server.finish(connect)

    assert (before, (await take_all(server))[1]) == ([], ["a"])


async def test_a_socket_whose_lane_is_full_holds_up_nobody_else():
    server = InterfaceServer()
    for name in "ab":
        await socket_that_says(server, *(f"{name}{number}" for number in range(3)))

    assert (await take_all(server))[1] == ["a0", "b0"]


@pytest.mark.parametrize("by", ["the setting", "the accepting reply"])
async def test_more_messages_may_be_under_way_where_a_site_wants_that(by):
    server = InterfaceServer(Limits(messages_under_way=3) if by == "the setting" else None)
    await socket_that_says(server, *"abcdef", **({} if by == "the setting" else {"messages_under_way": 3}))
    deliveries, at_first = await take_all(server)

    await server.finish(deliveries[1])
    then = (await take_all(server))[1]

    assert (at_first, then) == (["a", "b", "c"], ["d"])


async def test_whoever_asks_for_order_has_one_message_under_way_whatever_else_is_said():
    server = InterfaceServer(Limits(messages_under_way=5))
    socket = await server.socket()
    connect = await server.take("websocket.connect")
    await server.finish(connect, {"accept": True, "messages_under_way": 3}, keeps_order=True)
    for frame in "abc":
        socket.writes(text=frame)

    assert (await take_all(server))[1] == ["a"]


async def test_an_answer_that_comes_later_takes_nobody_the_order_that_was_asked_for():
    server = InterfaceServer()
    socket = await server.socket()
    connect = await server.take("websocket.connect")
    await server.finish(connect, keeps_order=True)
    await server.reply(connect.content["reply_channel"], {"accept": True, "messages_under_way": 3})
    for frame in "abc":
        socket.writes(text=frame)

    assert (await take_all(server))[1] == ["a"]


async def test_a_message_that_is_put_back_keeps_its_place():
    server = InterfaceServer()
    await socket_that_says(server, *"ab")
    delivery = await server.take("websocket.receive")

    for _ in range(5):
        server.layer.send_many([server.layer.prepare(*delivery[:2], ticket=delivery.ticket)])
        await server.finish(delivery, comes_again=True)
        # It waits since now, whatever has been before.
        [_, (_, connection)] = server.application.process().replies.connections()
        assert connection.overdue(server.layer.clock(), 1.0) == []
        await asyncio.sleep(30)
        [delivery], texts = await take_all(server)
        assert texts == ["a"]
    await server.finish(delivery)

    assert (await take_all(server))[1] == ["b"]


@pytest.mark.parametrize("times", [1, 2, 5])
async def test_a_finish_that_is_told_again_lets_nothing_more_through(times):
    server = InterfaceServer()
    await socket_that_says(server, *"abc")
    first = await server.take("websocket.receive")

    for _ in range(times):
        await server.finish(first)

    assert (await take_all(server))[1] == ["b"]


# Back pressure


async def test_while_the_lane_is_full_no_more_than_some_frames_are_read():
    server = InterfaceServer()
    socket = await socket_that_says(server, *map(str, range(100)))
    await asyncio.sleep(30)
    # The connect event, the frame that is under way, and those that wait.
    at_first = socket.received

    frames = []
    while (delivery := await server.take("websocket.receive")) is not None:
        frames.append(delivery.content["text"])
        await server.finish(delivery)

    assert at_first == 1 + 1 + MAX_FRAMES_AHEAD
    assert frames == list(map(str, range(100)))


async def test_what_is_read_ahead_is_bounded_in_bytes_too():
    server = InterfaceServer()
    socket = await socket_that_says(server, "first", *["x" * (MAX_SIZE_AHEAD // 2)] * 10)

    assert socket.received == 1 + 1 + 2


async def test_a_socket_that_waits_holds_a_frame_for_as_long_as_its_consumer_takes():
    server = InterfaceServer(Limits(full_timeout=2, outage_timeout=2))
    socket = await socket_that_says(server, *map(str, range(30)))
    delivery = await server.take("websocket.receive")

    await asyncio.sleep(1800)
    await server.finish(delivery)

    assert socket.sent == []
    assert (await take_all(server))[1] == ["1"]


# The end, while consumers are at work


async def test_that_a_client_leaves_is_noticed_at_once_while_a_consumer_is_at_work():
    server = InterfaceServer()
    socket, _ = await server.open_socket("room")
    for frame in "ab":
        socket.writes(text=frame)
    first = await server.take("websocket.receive")

    socket.leaves()
    await settle()

    assert socket.task.done()
    assert server.layer.group_channels("room") == []
    await server.finish(first)


async def test_what_a_client_has_sent_before_it_left_comes_before_its_disconnect_message():
    server = InterfaceServer()
    socket = await socket_that_says(server, *"abc")
    socket.leaves(4001)
    seen = []

    for _ in range(3):
        delivery = await server.take("websocket.receive")
        assert await server.take("websocket.disconnect") is None
        seen.append((delivery.content["text"], delivery.content["order"]))
        await server.finish(delivery)

    disconnect = await server.message("websocket.disconnect")
    assert seen == [("a", 1), ("b", 2), ("c", 3)]
    assert (disconnect["code"], disconnect["order"]) == (4001, 4)
    assert await server.message("websocket.disconnect") is None


async def test_no_frame_is_missed_when_the_one_before_is_done_before_the_layer_says_that_it_has_it(monkeypatch):
    server = InterfaceServer()
    socket = await socket_that_says(server, *"abcd")
    first, send_many_async = await server.take("websocket.receive"), server.layer.send_many_async
    seen = []

    async def tell_late(batch):
        refused = await send_many_async(batch)
        delivery = server.layer.take([batch[0].name])
        seen.append(delivery.content.get("text", "the end"))
        if delivery.ticket.number is not None:
            await server.finish(delivery)
        return refused

    monkeypatch.setattr(server.layer, "send_many_async", tell_late)
    socket.leaves()
    await server.finish(first)
    await asyncio.sleep(1)

    assert seen == ["b", "c", "d", "the end"]


async def test_the_disconnect_message_comes_after_the_last_finish_of_several_at_once():
    server = InterfaceServer(Limits(messages_under_way=2))
    socket = await socket_that_says(server, *"ab")
    deliveries, _ = await take_all(server)
    socket.leaves()

    before = []
    for delivery in reversed(deliveries):
        before.append(await server.message("websocket.disconnect"))
        await server.finish(delivery)

    assert before == [None, None]
    assert (await server.message("websocket.disconnect"))["order"] == 3


@pytest.mark.parametrize("frames", [3, 60], ids=["with some frames", "with more than are read"])
@pytest.mark.parametrize("by", ["its consumer", "its group"])
async def test_frames_that_wait_when_a_consumer_closes_the_socket_are_dropped_and_counted(by, frames):
    server = InterfaceServer()
    socket, _ = await server.open_socket("room")
    for number in range(frames):
        socket.writes(text=str(number))
    first = await server.take("websocket.receive")

    if by == "its group":
        server.layer.send_group("room", {"close": 4000})
        await settle()
    await server.finish(first, {"close": 4000} if by == "its consumer" else None)

    assert socket.sent == [close(4000)]
    assert socket.task.done()
    assert (await server.message("websocket.disconnect"))["order"] == 2
    assert await server.message("websocket.receive") is None
    dropped = server.layer.channel_statistics("websocket.receive")["dropped"]
    assert dropped == {"its socket was closed": min(frames - 1, MAX_FRAMES_AHEAD)}


@pytest.mark.parametrize("frames", [3, 60], ids=["with some frames", "with more than are read"])
async def test_a_socket_that_its_server_cancels_ends_whatever_waits(frames):
    server = InterfaceServer()
    socket = await socket_that_says(server, *map(str, range(frames)))
    first = await server.take("websocket.receive")

    socket.task.cancel()
    await settle()
    before = await server.message("websocket.disconnect")
    await server.finish(first)

    assert (socket.task.done(), socket.task.cancelled(), before) == (True, False, None)
    assert (await server.message("websocket.disconnect"))["code"] == 1012
    dropped = server.layer.channel_statistics("websocket.receive")["dropped"]
    assert dropped == {"its socket was closed": min(frames - 1, MAX_FRAMES_AHEAD)}


async def test_a_frame_of_a_client_that_has_left_which_nobody_takes_is_counted_with_those_behind_it(caplog):
    server = InterfaceServer(Limits(full_timeout=2), channel_capacity={"websocket.receive": 1})
    socket = await socket_that_says(server, *"abcd")
    first = await server.take("websocket.receive")
    socket.leaves()
    server.layer.send("websocket.receive", {"text": "of somebody else"})

    await server.finish(first)
    await asyncio.sleep(2.5)

    assert (await server.message("websocket.disconnect"))["order"] == 3
    assert server.layer.channel_statistics("websocket.receive")["dropped"] == {"its socket was closed": 3}
    assert caplog.messages[-1] == (
        "3 message(s) for channel websocket.receive dropped so far (its socket was closed). "
        "Its client had sent them, and they waited here for their turn."
    )


# Lost messages


async def test_after_a_lost_message_an_ordinary_socket_goes_on_with_the_next_one(caplog):
    server = InterfaceServer()
    socket = await socket_that_says(server, *"ab")
    first = await server.take("websocket.receive")

    await server.lose(first)

    assert (await take_all(server))[1] == ["b"]
    assert (socket.sent, socket.task.done()) == ([], False)
    assert caplog.messages == [
        "Message 1 of socket '/rooms/' on websocket.receive was lost with its worker, or expired; the next one follows"
    ]


@pytest.mark.parametrize("asked", ["by connect", "by the message before"])
async def test_a_socket_that_keeps_order_is_closed_with_1013_when_a_message_is_lost(asked, caplog):
    server = InterfaceServer()
    socket = await server.socket()
    await server.finish(await server.take("websocket.connect"), {"accept": True}, keeps_order=asked == "by connect")
    for frame in "abc":
        socket.writes(text=frame)
    await server.finish(await server.take("websocket.receive"), keeps_order=asked != "by connect")
    second = await server.take("websocket.receive")

    await server.lose(second)

    assert socket.sent[1:] == [close(1013)]
    assert (await server.message("websocket.disconnect"))["code"] == 1013
    assert await server.message("websocket.receive") is None
    assert server.layer.channel_statistics("websocket.receive")["dropped"] == {"its socket was closed": 1}
    assert caplog.messages[0] == (
        "Socket '/rooms/' closed with 1013: its message 2 on websocket.receive was lost with its worker, or expired"
    )


@pytest.mark.parametrize("accepts", [True, False])
async def test_a_socket_is_closed_when_its_connect_message_is_lost(accepts):
    """Its consumer may have accepted it at once, and died before it had stored and joined all that it meant to."""
    server = InterfaceServer()
    socket = await server.socket()
    connect = await server.take("websocket.connect")
    if accepts:
        await server.reply(connect.content["reply_channel"], {"accept": True})
        socket.writes(text="a")

    await server.lose(connect)

    assert socket.sent[-1] == close(1013)
    assert (await server.message("websocket.disconnect"))["code"] == 1013
    assert await server.message("websocket.receive") is None


async def test_nothing_follows_a_lost_message_of_a_socket_that_keeps_order_although_its_client_has_left():
    server = InterfaceServer()
    socket = await server.socket()
    await server.finish(await server.take("websocket.connect"), {"accept": True}, keeps_order=True)
    for frame in "abc":
        socket.writes(text=frame)
    first = await server.take("websocket.receive")
    socket.leaves(4001)
    await settle()

    await server.lose(first)

    assert await server.message("websocket.receive") is None
    assert (await server.message("websocket.disconnect"))["code"] == 4001
    assert server.layer.channel_statistics("websocket.receive")["dropped"] == {"its socket was closed": 2}


@pytest.mark.parametrize("leaves", [False, True])
async def test_a_message_that_nobody_takes_before_it_expires_is_lost(leaves):
    server = InterfaceServer(expiry=20)
    socket = await socket_that_says(server, "a")
    if leaves:
        socket.leaves()

    await asyncio.sleep(19)
    socket.writes(text="b")
    assert (await server.take("websocket.disconnect")) is None

    await asyncio.sleep(15)
    if leaves:
        assert (await server.message("websocket.disconnect"))["order"] == 2
    else:
        assert (await take_all(server))[1] == ["b"]


async def test_a_consumer_may_take_an_hour_without_harm():
    server = InterfaceServer()
    socket = await server.socket()
    await server.finish(await server.take("websocket.connect"), {"accept": True}, keeps_order=True)
    socket.writes(text="a")
    first = await server.take("websocket.receive")

    await asyncio.sleep(3000)
    await server.finish(first, {"text": "done"})

    assert socket.sent[1:] == [{"type": "websocket.send", "text": "done"}]


# The session


async def session_of(server, channel="websocket.receive"):
    delivery = await server.take(channel)
    return delivery, delivery.ticket.session


async def test_what_a_consumer_has_saved_is_there_in_the_next_message_and_in_the_last():
    server = InterfaceServer()
    socket = await server.socket()
    connect, at_first = await session_of(server, "websocket.connect")
    await server.finish(connect, {"accept": True}, changed={"room": "hall"})
    socket.writes(text="a")
    receive, then = await session_of(server)
    await server.finish(receive, changed={"count": 1}, removed=["room"])
    socket.leaves()

    assert (at_first, then) == ({}, {"room": "hall"})
    assert (await session_of(server, "websocket.disconnect"))[1] == {"count": 1}


async def test_two_consumers_at_once_lose_nothing_of_the_session():
    server = InterfaceServer(Limits(messages_under_way=2))
    socket = await socket_that_says(server, *"ab")
    deliveries, _ = await take_all(server)

    await server.finish(deliveries[1], changed={"b": 2})
    await server.finish(deliveries[0], changed={"a": 1})

    socket.leaves()
    assert (await session_of(server, "websocket.disconnect"))[1] == {"a": 1, "b": 2}


async def test_a_finish_that_is_told_again_does_not_bring_back_an_older_session():
    server = InterfaceServer()
    await socket_that_says(server, *"abcd")
    first = await server.take("websocket.receive")
    await server.finish(first, changed={"n": 1})
    second = await server.take("websocket.receive")
    await server.finish(second, changed={"n": 2})

    await server.finish(first, changed={"n": 1})
    await server.finish(await server.take("websocket.receive"))

    assert (await session_of(server))[1] == {"n": 2}


async def test_what_a_message_of_its_own_has_changed_comes_back_beside_the_lane():
    server = InterfaceServer()
    await socket_that_says(server, *"ab")
    first = await server.take("websocket.receive")
    own = first._replace(ticket=first.ticket._replace(number=None))

    await server.finish(own, changed={"from": "elsewhere"})
    meanwhile = await take_all(server)
    await server.finish(first)

    assert meanwhile == ([], [])
    assert (await session_of(server))[1] == {"from": "elsewhere"}


async def test_no_socket_sees_the_session_of_another():
    server = InterfaceServer()
    first = await server.socket()
    await server.finish(await server.take("websocket.connect"), {"accept": True}, changed={"name": "first"})
    await socket_that_says(server, "from the second")
    second, session = await session_of(server)
    await server.finish(second)
    first.writes(text="from the first")

    assert (session, (await session_of(server))[1]) == ({}, {"name": "first"})
