"""The last wills of connections: what the layer is told of them, and when."""

import asyncio

import pytest

from channels.exceptions import ChannelLayerUnavailable
from channels.layers.inmemory import InMemoryChannelLayer

from .interface_server import InterfaceServer
from .simulated_time import settle


class Wills:
    """The last wills that a layer with leases has, as channel, content and session by the local parts of names."""

    def __init__(self, server, monkeypatch):
        self.left = {}
        self.told = 0
        self.is_away = False
        monkeypatch.setattr(InMemoryChannelLayer, "lease_interval", 2.0)
        monkeypatch.setattr(server.layer, "set_wills", self.set)
        self._send_many = server.layer.send_many_async
        monkeypatch.setattr(server.layer, "send_many_async", self.send)

    async def set(self, queue, wills):
        if self.is_away:
            raise ChannelLayerUnavailable("It is away.")
        for local, will in wills:
            self._keep(queue + local, will)

    async def send(self, batch):
        refused = await self._send_many(batch)
        for send in batch:
            if send.reply_channel and send not in refused:
                self._keep(send.reply_channel, send.will)
        return refused

    def _keep(self, reply_channel, will):
        self.told += 1
        if will is None:
            self.left.pop(reply_channel, None)
        else:
            self.left[reply_channel] = (will.name, will.content, will.ticket.session)


async def test_a_request_that_is_open_for_long_leaves_a_last_will_and_takes_it_back(monkeypatch):
    server = InterfaceServer()
    wills = Wills(server, monkeypatch)
    await server.request()
    request = await server.message("http.request")
    reply_channel = request["reply_channel"]
    await asyncio.sleep(3)
    left = dict(wills.left)
    await server.reply(reply_channel, {"status": 200})

    assert left == {reply_channel: ("http.disconnect", {"reply_channel": reply_channel, "path": "/page/"}, {})}
    assert wills.left == {}


async def test_the_last_will_of_a_socket_carries_its_session_as_it_is_by_then(monkeypatch):
    server = InterfaceServer()
    wills = Wills(server, monkeypatch)
    socket = await server.socket()
    connect = await server.take("websocket.connect")
    reply_channel = connect.content["reply_channel"]
    at_first = wills.left[reply_channel]
    await server.finish(connect, {"accept": True}, changed={"room": "hall"})
    socket.writes(text="x")
    receive = await server.take("websocket.receive")
    await server.finish(receive, changed={"count": 1}, removed=["room"])
    await asyncio.sleep(0.1)

    content = {"reply_channel": reply_channel, "path": "/rooms/", "code": 1006, "order": None}
    assert at_first == ("websocket.disconnect", content, {})
    assert wills.left == {reply_channel: ("websocket.disconnect", content, {"count": 1})}


async def test_the_last_will_of_a_long_request_carries_its_session_too(monkeypatch):
    server = InterfaceServer()
    wills = Wills(server, monkeypatch)
    await server.request()
    request = await server.take("http.request")
    await asyncio.sleep(3)

    await server.finish(request, changed={"seen": [1]})
    await asyncio.sleep(0.1)

    [(channel, _, session)] = wills.left.values()
    assert (channel, session) == ("http.disconnect", {"seen": [1]})


async def test_sessions_that_change_at_the_same_time_are_told_in_one_step(monkeypatch):
    server = InterfaceServer()
    wills, steps = Wills(server, monkeypatch), []
    monkeypatch.setattr(
        server.layer, "set_wills", lambda queue, some: (steps.append(len(some)), wills.set(queue, some))[1]
    )
    for _ in range(3):
        await server.socket()
    for number in range(3):
        await server.finish(await server.take("websocket.connect"), {"accept": True}, changed={"number": number})
    await asyncio.sleep(0.2)

    assert steps == [3]
    assert sorted(session["number"] for *_, session in wills.left.values()) == [0, 1, 2]


async def test_a_last_will_that_could_not_be_renewed_follows_with_the_next_renewal_of_the_lease(monkeypatch):
    server = InterfaceServer()
    wills = Wills(server, monkeypatch)
    await server.socket()
    await asyncio.sleep(1)
    connect = await server.take("websocket.connect")
    wills.is_away = True
    await server.finish(connect, {"accept": True}, changed={"room": "hall"})
    await asyncio.sleep(0.2)
    wills.is_away = False
    before = [session for *_, session in wills.left.values()]
    await asyncio.sleep(2)

    assert before == [{}]
    assert [session for *_, session in wills.left.values()] == [{"room": "hall"}]


@pytest.mark.parametrize("kind", ["socket", "request"])
async def test_a_last_will_that_was_to_be_renewed_does_not_come_back_after_the_end(kind, monkeypatch):
    server = InterfaceServer()
    wills = Wills(server, monkeypatch)
    if kind == "socket":
        client, delivery = await server.socket(), await server.take("websocket.connect")
    else:
        client, delivery = await server.request(), await server.take("http.request")
    await asyncio.sleep(3)
    before = len(wills.left)
    await server.finish(delivery, {"accept": True} if kind == "socket" else None, changed={"a": 1})
    client.leaves()
    await settle()

    await asyncio.sleep(10)

    assert (before, wills.left) == (1, {})


async def test_the_last_wills_of_a_process_that_was_taken_for_dead_are_not_left_for_its_new_connections(monkeypatch):
    server = InterfaceServer()
    wills = Wills(server, monkeypatch)
    await server.socket()
    await server.finish(await server.take("websocket.connect"), {"accept": True}, changed={"a": 1})
    wills.left.clear()

    # It may take a while until it is this one's turn to be closed.
    server.application.process().replies.start_anew()
    await asyncio.sleep(1)

    assert wills.left == {}


async def test_without_leases_nobody_is_told_last_wills(monkeypatch):
    server = InterfaceServer()
    wills = Wills(server, monkeypatch)
    monkeypatch.setattr(InMemoryChannelLayer, "lease_interval", None)
    await server.socket()
    told = wills.told

    await server.finish(await server.take("websocket.connect"), {"accept": True}, changed={"a": 1})
    await asyncio.sleep(1)

    assert wills.told == told
