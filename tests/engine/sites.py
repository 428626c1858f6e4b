"""Both sides of a site, played by hand: the clients' side of the layer, and the work of a worker done on the spot."""

import secrets

from channels.test.interface_server import InterfaceServer
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
        self._interface_server = InterfaceServer.of(layer)
        # The channel sessions of connections, by their reply channels; what workers have told them, in its order.
        self.sessions = self._interface_server.sessions
        self.finishes = self._interface_server.finishes

    def consume(self, channel, **content):
        """Send a message that asks for replies, do all work, and return what came back."""
        self.put(channel, {"reply_channel": self.reply_channel, **content})
        self.work()
        return self.received(content.get("reply_channel", self.reply_channel))

    def put(self, channel, content):
        """Put a message on the layer, as an interface server does if it is one of those that it sends."""
        self._interface_server.send(channel, content)

    def request(self, path="/", **content):
        """Send a request, do all work, and return what came back."""
        return self.consume("http.request", **request_to(path, **content))

    def work(self):
        """Do what a worker does, until there is nothing left to do."""
        while self.worker.step():
            pass

    def received(self, channel):
        """Return the messages that wait on a channel; for a reply channel, on all of its process queue."""
        if "!" in channel:
            return [content for _, content in self._interface_server.read_all(channel)]
        found = []
        while (content := self.layer.receive([channel])[1]) is not None:
            found.append(content)
        return found


# The header of a browser that shows a page of the site, as tests have it.
PAGE = [b"origin", b"http://testserver"]


class Socket:
    """The socket of a browser. What it sends is consumed at once, and what came back is returned."""

    def __init__(self, site, path="/", **connect):
        self.site = site
        self.path = path
        self.reply_channel = f"reply.{secrets.token_hex(4)}!1"
        self.order = 0
        self.hello = {"scheme": "ws", "query_string": b"", "headers": [PAGE], "subprotocols": [], **connect}

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
