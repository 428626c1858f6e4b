"""Consumers behind an interface server: what the client of a socket sees."""

import json

import pytest

from channels.exceptions import DenyConnection, WebsocketCloseException
from channels.generic.websockets import JsonWebsocketConsumer, WebsocketConsumer, WebsocketDemultiplexer
from channels.registry import ChannelLayerWrapper
from channels.worker import Worker

from ..interface.interface_server import InterfaceServer
from ..interface.simulated_time import settle
from .conftest import HOST

ACCEPT = {"type": "websocket.accept", "subprotocol": None}


class Room(WebsocketConsumer):
    groups = ["room"]

    def receive(self, text=None, bytes=None):
        self.group_send("room", text=text, bytes=bytes)


class Echo(JsonWebsocketConsumer):
    groups = ["room"]

    def receive(self, content, **kwargs):
        self.send(content)


class Streams(WebsocketDemultiplexer):
    consumers = {"echo": Echo}


class Site:
    """An interface server, and a worker for the consumers of its sockets."""

    def __init__(self, consumer):
        self.server = InterfaceServer()
        self.worker = Worker(ChannelLayerWrapper(self.server.layer, "default", [consumer.as_route()]))

    async def work(self):
        await settle()
        while self.worker.step():
            await settle()

    async def socket(self):
        socket = await self.server.socket(headers=[(b"origin", f"http://{HOST}".encode())])
        await self.work()
        return socket

    async def says(self, socket, **frame):
        """Have a socket send a frame; return what it gets."""
        del socket.sent[:]
        socket.writes(**frame)
        await self.work()
        return socket.sent


@pytest.fixture(autouse=True)
def hosts(settings):
    settings.ALLOWED_HOSTS = [HOST]


async def test_members_of_a_group_hear_each_other_until_they_leave():
    site = Site(Room)
    anna, ben = await site.socket(), await site.socket()
    assert anna.sent == ben.sent == [ACCEPT]

    assert await site.says(anna, text="Hello") == [{"type": "websocket.send", "text": "Hello"}]
    assert ben.sent == [ACCEPT, {"type": "websocket.send", "text": "Hello"}]

    ben.leaves()
    await site.work()
    assert len(site.server.layer.group_channels("room")) == 1
    assert await site.says(anna, bytes=b"\0") == [{"type": "websocket.send", "bytes": b"\0"}]


def deny(consumer):
    raise DenyConnection


def close(consumer):
    consumer.close(4001)


def raise_close(consumer):
    raise WebsocketCloseException(4001)


def fail(consumer):
    WebsocketConsumer.connect(consumer, consumer.message)
    raise RuntimeError("a mistake")


@pytest.mark.parametrize(("end", "code"), [(deny, 1000), (close, 4001), (raise_close, 4001), (fail, 1011)])
async def test_a_socket_that_is_refused_was_never_accepted_and_is_in_no_group(end, code):
    class Guarded(Room):
        def connect(self, message):
            end(self)

    site = Site(Guarded)
    socket = await site.socket()

    assert socket.sent == [{"type": "websocket.close", "code": code}]
    assert site.server.layer.group_channels("room") == []


async def test_one_that_is_accepted_and_closed_sees_the_code():
    class Explaining(Room):
        def connect(self, message):
            super().connect(message)
            raise WebsocketCloseException(4001)

    assert (await Site(Explaining).socket()).sent == [ACCEPT, {"type": "websocket.close", "code": 4001}]


@pytest.mark.parametrize(
    "frame",
    [
        {"text": "nonsense"},
        {"text": ""},
        {"text": "[]"},
        {"text": "{}"},
        {"text": '{"stream": "echo"}'},
        {"text": '{"payload": {}}'},
        {"text": '{"stream": "nowhere", "payload": {}}'},
        {"bytes": b"{}"},
        {"bytes": b""},
    ],
)
async def test_a_frame_that_makes_no_sense_is_answered_and_the_next_one_is_heard(frame):
    site = Site(Streams)
    socket = await site.socket()

    (answer,) = await site.says(socket, **frame)
    answer = json.loads(answer["text"])
    assert (answer.get("payload") or answer).keys() == {"error", "detail"}

    whole = json.dumps({"stream": "echo", "payload": {"a": 1}})
    assert await site.says(socket, text=whole) == [{"type": "websocket.send", "text": whole}]


async def test_the_frames_of_all_streams_come_one_after_the_other():
    order = []

    class Watching(JsonWebsocketConsumer):
        def receive(self, content, **kwargs):
            # The interface server has had all the time in the world to give the next one away.
            assert site.server.layer.receive(["websocket.receive"]) == (None, None)
            order.append(content["number"])

    class Two(WebsocketDemultiplexer):
        consumers = {"a": Watching, "b": Watching}

    site = Site(Two)
    socket = await site.socket()
    for number in range(10):
        socket.writes(text=json.dumps({"stream": "ab"[number % 2], "payload": {"number": number}}))
    await site.work()

    assert order == list(range(10))
