"""The same consumers with the user that the socket connected with, and with a fresh one for each message."""

from asgiref.sync import async_to_sync

from channels.generic.websocket import WebsocketConsumer


class Echo(WebsocketConsumer):
    def name(self):
        return self.scope["user"].username

    def receive(self, text_data=None, bytes_data=None):
        self.send(text_data=f"{self.name()}: {text_data}")


class Room(Echo):
    def connect(self):
        self.group = "room-" + self.scope["url_route"]["kwargs"]["room"]
        async_to_sync(self.channel_layer.group_add)(self.group, self.channel_name)
        self.accept()

    def disconnect(self, code):
        async_to_sync(self.channel_layer.group_discard)(self.group, self.channel_name)

    def receive(self, text_data=None, bytes_data=None):
        text = f"{self.name()}: {text_data}"
        async_to_sync(self.channel_layer.group_send)(self.group, {"type": "room.message", "text": text})

    def room_message(self, event):
        self.send(text_data=event["text"])


class Fresh:
    """Looks the user up for each message, as our engine does, so that a lost right counts at once."""

    def name(self):
        self.scope["user"].refresh_from_db()
        return super().name()


class FreshEcho(Fresh, Echo):
    pass


class FreshRoom(Fresh, Room):
    pass
