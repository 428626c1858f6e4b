"""A visitor's socket to a room."""

from channels.test import Socket


class RoomSocket(Socket):
    """It says and asks what the page of a room does."""

    def say(self, text, client_id):
        return self.send({"type": "say", "id": client_id, "text": text})

    def sync(self, after=0, read=False):
        return self.send({"type": "sync", "after": after, "read": read})
