"""An interface server in this process, clients that write down what it sends to them, and the workers' side."""

import asyncio

from channels.interface.application import InterfaceApplication, no_workers
from channels.layers.base import Finish, Send
from channels.layers.inmemory import InMemoryChannelLayer

from .simulated_time import settle


class InterfaceServer:
    """The application on a layer of its own, which is made with ``options``."""

    def __init__(self, limits=None, start_workers=no_workers, script_name="", **options):
        self.layer = InMemoryChannelLayer(clock=asyncio.get_running_loop().time, **options)
        self.application = InterfaceApplication(self.layer, limits, start_workers, script_name)

    async def socket(self, path="/rooms/", **scope):
        """Begin to open a socket."""
        socket = Socket({"type": "websocket", "path": path, **scope})
        await self._connect(socket, {"type": "websocket.connect"})
        return socket

    async def open_socket(self, *groups, **scope):
        """Open a socket that a consumer accepts and puts into groups; return it and its reply channel."""
        socket = await self.socket(**scope)
        reply_channel = (await self.message("websocket.connect"))["reply_channel"]
        self.layer.send(reply_channel, {"accept": True})
        for group in groups:
            self.layer.group_add(group, reply_channel)
        await settle()
        assert socket.sent.pop(0)["type"] == "websocket.accept"
        return socket, reply_channel

    async def request(self, *parts, path="/page/", method="GET", **scope):
        """Begin a request with these parts of a body; the last one may be None, for more that follows later."""
        client = Client({"type": "http", "path": path, "method": method, **scope})
        *begun, last = parts or [b""]
        for part in begun:
            client.says({"type": "http.request", "body": part, "more_body": True})
        await self._connect(client, *([{"type": "http.request", "body": last}] if last is not None else []))
        return client

    async def _connect(self, client, *events):
        for event in events:
            client.says(event)
        client.task = asyncio.create_task(self.application(client.scope, client.receive, client.send))
        await settle()

    async def message(self, channel):
        """Take a message from a channel and have done with it, as a worker would; None if there is none."""
        delivery = await self.take(channel)
        if delivery is None:
            return None
        if delivery.ticket is not None and delivery.ticket.number is not None:
            await self.finish(delivery)
        return delivery.content

    async def take(self, channel):
        """Take a message from a channel as a worker does that works on it from now on; None if there is none."""
        await settle()
        return self.layer.take([channel])

    async def finish(self, delivery, content=None, **finish):
        """Have done with a message, and send its connection something along."""
        number, reply_channel = delivery.ticket.number, delivery.content["reply_channel"]
        send = Send(reply_channel, None) if content is None else self.layer.prepare(reply_channel, content)
        assert self.layer.send_many([send._replace(finish=Finish(number, **finish))]) == []
        await settle()

    async def reply(self, channel, content):
        self.layer.send(channel, content)
        await settle()

    async def lose(self, delivery):
        """Have a connection told that one of its messages is lost."""
        self.application.process().replies.lose(delivery.content["reply_channel"], delivery.ticket.number)
        await settle()

    async def stop(self):
        """Begin a stop as a signal would, and return the task that ends when the process may exit."""
        process = self.application.process()
        process.begin_stop()
        task = asyncio.create_task(process.stop())
        await settle()
        return task


async def begin(server, *parts, **request):
    """Begin a request; return its client and the message that a worker gets."""
    client = await server.request(*parts, **request)
    return client, await server.message("http.request")


class Client:
    """The client of a request, behind a server that keeps to the ASGI specification."""

    def __init__(self, scope):
        self.scope = scope
        self.task = None
        self.sent = []
        self.received = 0
        self.gone = False
        self.reads = asyncio.Event()
        self.reads.set()
        # Whether it reads no more than one event when it begins to read.
        self.reads_one = False
        self._incoming = asyncio.Queue()

    def says(self, event):
        self._incoming.put_nowait(event)

    def leaves(self):
        self.says({"type": "http.disconnect"})

    async def receive(self):
        event = await self._incoming.get()
        self.received += 1
        return event

    async def send(self, event):
        # A client that does not read blocks the server's send, once the buffers on the way are full.
        await self.reads.wait()
        if self.reads_one:
            self.reads.clear()
        if self.gone:
            raise OSError("The connection is gone.")
        self.sent.append(event)
        if event["type"] == "http.response.body" and not event["more_body"]:
            self.leaves()

    @property
    def status(self):
        return self.sent[0]["status"]

    @property
    def content(self):
        return b"".join(event["body"] for event in self.sent[1:])


class Socket(Client):
    """The client of a WebSocket."""

    def writes(self, **data):
        self.says({"type": "websocket.receive", **data})

    def leaves(self, code=1001):
        self.says({"type": "websocket.disconnect", "code": code})

    async def send(self, event):
        await super().send(event)
        if event["type"] == "websocket.close":
            self.leaves(event["code"])
