"""Both sides of a site, played by hand: the clients' side of the layer, and the work of a worker done on the spot."""

import asyncio
import secrets
import sys

from channels.interface.session import merged
from channels.layers.base import Ticket
from channels.test.process_queue import MemberMessages, entries_there
from channels.worker import Worker


def request_to(path="/", **content):
    """Return the content of a request message."""
    return {"method": "GET", "scheme": "http", "path": path, "headers": [[b"host", b"testserver"]], **content}


class Site:
    """A routing on a layer of its own, with one worker, and the part of an interface server that owns connections."""

    def __init__(self, layer):
        self.layer = layer
        self.worker = Worker(layer)
        self.reply_channel = f"reply.{secrets.token_hex(4)}!1"
        self._member_messages = MemberMessages(layer)
        # The channel sessions of connections, by their reply channels.
        self.sessions = {}
        # What workers have told connections, in its order.
        self.finishes = []

    def consume(self, channel, **content):
        """Send a message that asks for replies, do all work, and return what came back."""
        self.put(channel, {"reply_channel": self.reply_channel, **content})
        self.work()
        return self.received(content.get("reply_channel", self.reply_channel))

    def put(self, channel, content):
        """Put a message on the layer, as an interface server does if it is one of those that it sends."""
        ticket = None
        if channel.startswith(("websocket.", "http.")):
            number = None if channel.endswith("disconnect") else content.get("order")
            ticket = Ticket(number, self.sessions.get(content["reply_channel"], {}))
        assert not self.layer.send_many([self.layer.prepare(channel, content, ticket=ticket)])

    def request(self, path="/", **content):
        """Send a request, do all work, and return what came back."""
        return self.consume("http.request", **request_to(path, **content))

    def work(self):
        """Do what a worker does, until there is nothing left to do."""
        while self.worker.step():
            pass

    def received(self, channel):
        """Return the messages that wait on a channel; for a reply channel, on all of its process queue."""
        prefix, mark, _ = channel.partition("!")
        if mark:
            return [content for _, content in self._read(prefix + mark)]
        found = []
        while (content := self.layer.receive([prefix])[1]) is not None:
            found.append(content)
        return found

    def _read(self, queue):
        entries = asyncio.run(entries_there(self.layer, queue))
        for entry in entries:
            if entry.finish is not None:
                name = queue + entry.local
                self.finishes.append((name, entry.finish))
                self.sessions[name] = merged(self.sessions.get(name, {}), entry.finish, sys.maxsize)
        return self._member_messages.made_of(queue, entries)


class Socket:
    """The socket of a browser. What it sends is consumed at once, and what came back is returned."""

    def __init__(self, site, path="/", **connect):
        self.site = site
        self.path = path
        self.reply_channel = f"reply.{secrets.token_hex(4)}!1"
        self.order = 0
        self.hello = {"scheme": "ws", "query_string": b"", "headers": [], "subprotocols": [], **connect}

    def connect(self):
        return self.consume("websocket.connect", **self.hello)

    def send(self, text):
        return self.consume("websocket.receive", text=text)

    def disconnect(self, code=1000):
        return self.consume("websocket.disconnect", code=code)

    def consume(self, channel, **content):
        self.put(channel, **content)
        self.site.work()
        return self.received()

    def put(self, channel, **content):
        """Put a message on the layer, and leave it there."""
        self.site.put(channel, self.message(**content))

    def message(self, **content):
        """Return the next message of this socket."""
        content = {"reply_channel": self.reply_channel, "path": self.path, "order": self.order, **content}
        self.order += 1
        return content

    def received(self):
        return self.site.received(self.reply_channel)

    @property
    def session(self):
        return self.site.sessions.get(self.reply_channel, {})
