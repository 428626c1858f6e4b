"""What the connections of a process share, and above all the way it stops."""

import asyncio

import pytest

from channels.interface.http_connection import ResponseAborted
from channels.interface.limits import Limits
from channels.interface.process import STOPPED_AT_ONCE
from channels.interface.socket_connection import CLOSE_TIMEOUT, SocketConnection
from channels.layers.base import Lease
from channels.layers.inmemory import InMemoryChannelLayer

from .interface_server import InterfaceServer, Socket
from .simulated_time import longest_pause, settle


class Workers:
    """Embedded workers that write down when they were stopped."""

    def __init__(self):
        self.stopped = []

    def start(self):
        self.loop = asyncio.get_running_loop()
        return self

    def stop(self, drain):
        self.stopped.append((self.loop.time(), drain))


async def test_a_stop_closes_every_socket_with_1012_and_tells_each_consumer_once():
    server = InterfaceServer()
    sockets = [await server.open_socket("room") for _ in range(20)]

    stopped = await server.stop()

    assert [socket.sent for socket, _ in sockets] == [[{"type": "websocket.close", "code": 1012}]] * 20
    messages = [await server.message("websocket.disconnect") for _ in range(20)]
    assert {message["code"] for message in messages} == {1012}
    assert {message["reply_channel"] for message in messages} == {reply_channel for _, reply_channel in sockets}
    assert await server.message("websocket.disconnect") is None
    assert server.layer.group_channels("room") == []
    assert stopped.done()


async def test_many_sockets_are_closed_in_batches_over_half_of_the_grace_and_pages_are_served_meanwhile():
    server = InterfaceServer(Limits(stop_grace=4), capacity=1000)
    sockets = [(await server.open_socket())[0] for _ in range(600)]
    loop, told = asyncio.get_running_loop(), []
    process, began = server.application.process(), loop.time()

    process.begin_stop(lambda: told.append(loop.time() - began))
    closed = []
    for seconds in (0.05, 0.95, 0.7, 0.5):
        await asyncio.sleep(seconds)
        closed.append(sum(bool(socket.sent) for socket in sockets))
        if len(closed) == 2:
            page, socket = await server.request(), await server.socket()
    late = await server.request()

    assert closed == [55, 325, 565, 600]
    assert 1.8 < told[0] < 2.1
    assert [event.get("code") for event in socket.sent] == [None, 1013]
    assert (await server.message("http.request"))["reply_channel"]
    assert (page.sent, late.status) == ([], 503)
    assert {socket.sent[0]["code"] for socket in sockets} == {1012}


async def test_many_sockets_are_closed_at_once_where_the_server_does_not_wait_for_that():
    server = InterfaceServer(capacity=100)
    sockets = [(await server.open_socket())[0] for _ in range(60)]

    server.application.process().begin_stop()
    await settle()

    assert [socket.sent[0]["code"] for socket in sockets] == [1012] * 60


async def test_requests_that_are_being_answered_have_a_grace():
    server = InterfaceServer(Limits(stop_grace=5))
    client = await server.request()
    reply_channel = (await server.message("http.request"))["reply_channel"]
    stopped = await server.stop()
    await asyncio.sleep(4)
    assert not stopped.done()

    await server.reply(reply_channel, {"status": 200, "content": b"in time"})

    assert (client.content, stopped.done()) == (b"in time", True)


async def test_the_cancellation_of_a_request_does_not_shorten_its_grace():
    server = InterfaceServer(Limits(stop_grace=5))
    client = await server.request()
    reply_channel = (await server.message("http.request"))["reply_channel"]
    await server.stop()

    client.task.cancel()
    await asyncio.sleep(4)
    await server.reply(reply_channel, {"status": 200, "content": b"in time"})

    assert client.content == b"in time"


async def test_after_the_grace_what_waits_gets_503_and_what_has_begun_is_cut_off():
    server = InterfaceServer(Limits(stop_grace=5))
    waits, begun = await server.request(), await server.request()
    await server.message("http.request")
    reply_channel = (await server.message("http.request"))["reply_channel"]
    await server.reply(reply_channel, {"status": 200, "content": b"half", "more_content": True})

    stopped = await server.stop()
    await asyncio.sleep(5.1)

    assert (waits.status, waits.content) == (503, b"The server is stopping.\n")
    assert isinstance(begun.task.exception(), ResponseAborted)
    assert stopped.done()


@pytest.mark.parametrize("more", [True, False], ids=["in its middle", "on its last part"])
async def test_a_slow_client_cannot_hold_up_a_stop(more):
    server = InterfaceServer(Limits(stop_grace=5))
    client = await server.request()
    reply_channel = (await server.message("http.request"))["reply_channel"]
    client.reads.clear()
    await server.reply(reply_channel, {"status": 200, "content": b"x", "more_content": more})

    stopped = await server.stop()
    await asyncio.sleep(5.1)

    assert isinstance(client.task.exception(), ResponseAborted)
    assert stopped.done()


async def test_a_client_that_does_not_take_its_close_frame_cannot_hold_up_a_stop():
    server = InterfaceServer()
    socket, _ = await server.open_socket()
    socket.reads.clear()

    stopped = await server.stop()
    await asyncio.sleep(11)

    assert (socket.task.done(), stopped.done()) == (True, True)
    assert (await server.message("websocket.disconnect"))["code"] == 1012


async def test_a_stopping_server_takes_nothing_new(caplog):
    server = InterfaceServer()
    await server.stop()

    client, socket = await server.request(), await server.socket()

    assert (client.status, client.content) == (503, b"The server is stopping.\n")
    assert [event.get("code") for event in socket.sent] == [None, 1013]
    assert "Socket '/rooms/' refused: The server is stopping." in caplog.text
    assert server.layer.global_statistics()["messages_count"] == 0


@pytest.mark.parametrize("leaves", [False, True], ids=["a socket that waits", "one that has left"])
async def test_a_socket_that_is_connecting_at_a_stop_is_reported_when_its_consumer_has_finished(leaves):
    server = InterfaceServer(Limits(stop_grace=5))
    socket = await server.socket()
    connect = await server.take("websocket.connect")
    socket.writes(text="early")
    if leaves:
        socket.leaves(1001)
    await settle()

    stopped = await server.stop()
    await asyncio.sleep(1)
    before = await server.message("websocket.disconnect"), stopped.done()
    await server.finish(connect, {"accept": True})

    assert before == (None, False)
    assert (await server.message("websocket.disconnect"))["code"] == (1001 if leaves else 1012)
    assert await server.message("websocket.receive") is None
    assert (socket.task.done(), stopped.done()) == (True, True)


async def test_a_socket_whose_consumer_does_not_finish_is_reported_at_the_end_of_the_grace():
    server = InterfaceServer(Limits(stop_grace=5))
    await server.socket()
    connecting = await server.take("websocket.connect")
    socket, _ = await server.open_socket()
    for frame in ("under way", "waits"):
        socket.writes(text=frame)
    receiving = await server.take("websocket.receive")

    stopped = await server.stop()
    await asyncio.sleep(4.9)
    before = stopped.done()
    await asyncio.sleep(0.2)

    codes = [(await server.message("websocket.disconnect"))["code"] for _ in range(2)]
    assert (before, stopped.done(), codes) == (False, True, [1012, 1012])
    assert server.layer.channel_statistics("websocket.receive")["dropped"] == {"its socket was closed": 1}
    for delivery in connecting, receiving:
        await server.finish(delivery, {"text": "late"})
    assert await server.message("websocket.disconnect") is None
    assert await server.message("websocket.receive") is None


async def test_frames_that_have_been_read_are_handled_within_the_grace_of_a_stop():
    server = InterfaceServer(Limits(stop_grace=5))
    socket, _ = await server.open_socket()
    for number in range(4):
        socket.writes(text=str(number))
    await settle()

    stopped = await server.stop()
    frames = [(await server.message("websocket.receive"))["text"] for _ in range(4)]

    assert frames == ["0", "1", "2", "3"]
    assert (await server.message("websocket.disconnect"))["order"] == 5
    assert stopped.done()


async def test_a_frame_that_waits_for_room_cannot_hold_up_a_stop_longer_than_its_grace():
    server = InterfaceServer(Limits(stop_grace=2, full_timeout=60), channel_capacity={"websocket.receive": 1})
    server.layer.send("websocket.receive", {"text": "of somebody else"})
    socket, _ = await server.open_socket()
    socket.writes(text="waits for room")
    await settle()

    stopped = await server.stop()
    await asyncio.sleep(3)

    assert stopped.done()
    assert (await server.message("websocket.disconnect"))["code"] == 1012
    assert server.layer.channel_statistics("websocket.receive")["dropped"] == {"its socket was closed": 1}


async def test_a_stop_waits_until_a_full_channel_has_taken_the_disconnects():
    server = InterfaceServer(channel_capacity={"websocket.disconnect": 1})
    for _ in range(3):
        await server.open_socket()

    stopped = await server.stop()
    codes = []
    while not stopped.done():
        await asyncio.sleep(1)
        message = await server.message("websocket.disconnect")
        codes += [message["code"]] if message else []

    assert codes == [1012, 1012, 1012]


async def test_with_last_wills_a_stop_does_not_wait_long_for_a_full_channel(monkeypatch):
    """The layer carries them out when it notices that the process has ended without a word."""
    monkeypatch.setattr(InMemoryChannelLayer, "lease_interval", 2.0)
    ended = []

    async def end_lease(layer, queue):
        ended.append(queue)

    monkeypatch.setattr(InMemoryChannelLayer, "end_lease", end_lease)
    full, roomy = (
        InterfaceServer(Limits(stop_grace=5), channel_capacity={"websocket.disconnect": capacity})
        for capacity in (1, 9)
    )
    for server in (full, roomy):
        for _ in range(3):
            await server.open_socket()

    stops = [await server.stop() for server in (full, roomy)]
    await asyncio.sleep(4.9)
    in_time = [stop.done() for stop in stops]
    await asyncio.sleep(0.2)

    assert (in_time, [stop.done() for stop in stops]) == ([False, True], [True, True])
    assert ended == [roomy.application.process().replies.queue]


async def test_the_workers_stop_last_and_drain_what_waits():
    workers = Workers()
    server = InterfaceServer(Limits(stop_grace=5), start_workers=workers.start)
    await server.open_socket()
    await server.request()

    stopped = await server.stop()
    await asyncio.sleep(4)
    assert workers.stopped == []

    await stopped
    assert [(round(time), drain) for time, drain in workers.stopped] == [(5, True)]


async def test_a_second_stop_is_the_same_stop():
    workers = Workers()
    server = InterfaceServer(start_workers=workers.start)
    socket, _ = await server.open_socket()

    await asyncio.gather(await server.stop(), await server.stop())

    assert len(workers.stopped) == 1
    assert len(socket.sent) == 1


async def test_an_idle_process_stops_at_once():
    server = InterfaceServer()

    stopped = await server.stop()

    assert stopped.done()


async def test_a_process_that_was_taken_for_dead_closes_everything_and_begins_anew(monkeypatch, caplog):
    server = InterfaceServer(group_expiry=30)
    socket, reply_channel = await server.open_socket("room")
    client = await server.request()
    await server.message("http.request")
    answers = [Lease.LOST]

    async def renew_lease(queue):
        return answers.pop() if answers else Lease.KEPT

    monkeypatch.setattr(server.layer, "renew_lease", renew_lease)
    await asyncio.sleep(11)

    assert socket.sent == [{"type": "websocket.close", "code": 1012}]
    assert client.status == 503
    assert "This process was taken for dead; its 2 connections are closed" in caplog.messages
    # The layer has told the consumers already, by the last wills.
    assert await server.message("websocket.disconnect") is None
    assert await server.message("http.disconnect") is None
    _, again = await server.open_socket()
    assert again.split("!")[0] != reply_channel.split("!")[0]


@pytest.mark.parametrize("waits", ["for its client", "for its lane", "for a full channel", "for the client to read"])
async def test_a_socket_of_a_process_that_was_taken_for_dead_ends_whatever_it_waits_for(waits, monkeypatch):
    server = InterfaceServer(Limits(full_timeout=60), channel_capacity={"websocket.receive": 1})
    socket, reply_channel = await server.open_socket()
    if waits == "for the client to read":
        socket.reads.clear()
        await server.reply(reply_channel, {"text": "unread"})
    elif waits == "for its lane":
        for _ in range(30):
            socket.writes(text="frame")
        await server.take("websocket.receive")
    elif waits == "for a full channel":
        server.layer.send("websocket.receive", {"text": "of somebody else"})
        socket.writes(text="waits for room")
    await settle()

    server.application.process()._start_anew()
    await asyncio.sleep(CLOSE_TIMEOUT + 1)

    assert (socket.task.done(), socket.task.cancelled()) == (True, False)
    assert await server.message("websocket.disconnect") is None
    # Nothing is left that a stop would wait for.
    assert (await server.stop()).done()


async def test_no_frame_of_a_process_that_was_taken_for_dead_reaches_a_consumer_when_there_is_room_again():
    server = InterfaceServer(channel_capacity={"websocket.receive": 1})
    server.layer.send("websocket.receive", {"text": "of somebody else"})
    socket, _ = await server.open_socket()
    socket.writes(text="waits for room")
    await settle()

    server.application.process()._start_anew()
    await settle()
    server.layer.receive(["websocket.receive"])
    await asyncio.sleep(20)

    assert server.layer.receive(["websocket.receive"]) == (None, None)


async def test_the_log_says_if_the_layer_does_not_answer_either(caplog):
    server = InterfaceServer(Limits(http_timeout=1))
    await server.request()
    server.layer.outage.goes_on(OSError("no connection"), "reads")

    await asyncio.sleep(2)

    assert "got no answer within 1 s and becomes status 503. The channel layer does not answer." in caplog.text


# Others have their turn


async def stop(server):
    server.application.process().begin_stop()


async def end_grace(server):
    server.application.process()._end_grace()


async def take_for_dead(server):
    server.application.process()._start_anew()


async def test_a_connection_that_fails_at_a_stop_keeps_the_others_from_nothing(caplog):
    server = InterfaceServer()
    sockets = [(await server.open_socket())[0] for _ in range(3)]
    process = server.application.process()
    stop_one = SocketConnection.stop

    def fail_once(connection):
        if "failed" not in caplog.text:
            raise RuntimeError("It has failed.")
        stop_one(connection)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SocketConnection, "stop", fail_once)
        process.begin_stop()
        await settle()

    assert sum(socket.sent[-1:] == [{"type": "websocket.close", "code": 1012}] for socket in sockets) == 2


@pytest.mark.parametrize(
    ("step", "method", "longest"),
    # A stop begins with some sockets at once.
    [(stop, "stop", 0.0001 * STOPPED_AT_ONCE), (end_grace, "end_grace", 0.0015), (take_for_dead, "write_off", 0.0015)],
    ids=["stop", "end of grace", "taken for dead"],
)
async def test_what_is_done_with_many_sockets_keeps_the_loop_for_milliseconds_at_a_time(
    step, method, longest, monkeypatch
):
    server = InterfaceServer()
    for _ in range(50):
        await server.open_socket()
    act, done = getattr(SocketConnection, method), []

    def act_slowly(connection):
        asyncio.get_running_loop().pass_time(0.0001)
        done.append(connection)
        act(connection)

    monkeypatch.setattr(SocketConnection, method, act_slowly)
    stepping = asyncio.create_task(step(server))
    pause = await longest_pause(lambda: len(done) == 50)

    assert stepping.done()
    assert pause < longest + 0.0015


async def test_a_socket_that_ends_before_it_is_its_turn_at_a_stop_ends_once():
    server = InterfaceServer()
    sockets = [(await server.open_socket())[0] for _ in range(3)]
    server.application.process().begin_stop()

    for socket in sockets:
        socket.leaves(1001)
    await settle()

    codes = [(await server.message("websocket.disconnect"))["code"] for _ in sockets]
    assert set(codes) <= {1001, 1012}
    assert await server.message("websocket.disconnect") is None


async def test_consumers_hear_nothing_of_a_socket_that_is_still_to_be_closed_for_its_process_was_taken_for_dead():
    server = InterfaceServer()
    sockets = [(await server.open_socket())[0] for _ in range(3)]
    server.application.process().replies.start_anew()

    for socket in sockets:
        socket.writes(text="late")
        socket.leaves()
    await settle()

    assert await server.message("websocket.receive") is None
    assert await server.message("websocket.disconnect") is None


async def test_a_socket_whose_server_gives_up_before_it_has_connected_is_none_that_ends_at_a_stop():
    server = InterfaceServer()
    socket = Socket({"type": "websocket", "path": "/rooms/"})
    socket.task = asyncio.create_task(server.application(socket.scope, socket.receive, socket.send))
    await settle()
    socket.task.cancel()
    await settle()

    stopped = await server.stop()
    await asyncio.sleep(10)

    assert stopped.done()
    assert await server.message("websocket.disconnect") is None


async def test_a_socket_that_connects_while_its_process_is_taken_for_dead_is_refused():
    server = InterfaceServer()
    await server.open_socket()
    socket = Socket({"type": "websocket", "path": "/rooms/"})
    socket.task = asyncio.create_task(server.application(socket.scope, socket.receive, socket.send))
    await settle()
    server.application.process().replies.start_anew()

    socket.says({"type": "websocket.connect"})
    await settle()

    assert [event.get("code") for event in socket.sent] == [None, 1013]
    assert await server.message("websocket.connect") is None
