"""A browser's side of a socket, and the workers' side of the channel layer."""

import asyncio
import json
import secrets

from channels import channel_layers
from channels.interface.session import merged
from channels.layers.base import Ticket
from channels.test.process_queue import MemberMessages, entries_there
from channels.worker import Worker


class Socket:
    """
    A browser's socket, played by hand.

    What the browser sends is put on the channel layer as an interface server would do it; then the workers'
    part is done on the spot, and what came back is kept.
    """

    def __init__(self, path, client=None):
        self.layer = channel_layers["default"]
        self.path = path
        self.queue = f"test.{secrets.token_hex(4)}!"
        self.order = 0
        # What an interface server keeps for a socket: its channel session, and the groups that it is in.
        self.session = {}
        self.member_messages = MemberMessages(self.layer)
        cookies = client.cookies.output(header="", sep=";") if client else ""
        self.headers = [
            [b"host", b"testserver"],
            [b"origin", b"http://testserver"],
            [b"cookie", cookies.strip().encode()],
        ]

    def connect(self):
        """Open the socket; return whether it was accepted."""
        self.put("websocket.connect", scheme="ws", query_string=b"", headers=self.headers)
        return self.received() == [{"accept": True}]

    def send(self, text):
        """Send a text frame, and return the frames that came back."""
        self.put("websocket.receive", text=text)
        return self.frames()

    def say(self, text, client_id):
        return self.send(json.dumps({"type": "say", "id": client_id, "text": text}))

    def sync(self, after=0):
        return self.send(json.dumps({"type": "sync", "after": after}))

    def disconnect(self):
        self.put("websocket.disconnect", code=1000)

    def put(self, channel, **content):
        content |= {"reply_channel": f"{self.queue}1", "path": self.path, "order": self.order}
        number = None if channel == "websocket.disconnect" else self.order
        self.order += 1
        self.layer.send_many([self.layer.prepare(channel, content, ticket=Ticket(number, self.session))])
        work()

    def frames(self):
        """Return the frames that have come since the last look."""
        return [json.loads(content["text"]) for content in self.received()]

    def received(self):
        entries = asyncio.run(entries_there(self.layer, self.queue))
        for entry in entries:
            if entry.finish is not None:
                self.session = merged(self.session, entry.finish)
        return [content for _, content in self.member_messages.made_of(self.queue, entries)]


def work():
    """Do what a worker does, until there is nothing left to do."""
    worker = Worker(channel_layers["default"])
    while worker.step():
        pass
