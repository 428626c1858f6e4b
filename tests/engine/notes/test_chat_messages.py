"""A channel of one's own: whatever is sent to ``chat-messages`` is saved and broadcast, wherever it comes from."""
# ruff: noqa: DJ008, UP031

from django.db import models

from channels import Channel, Group
from channels.routing import route
from channels.sessions import channel_session

from ..sites import Socket


class ChatMessage(models.Model):
    room = models.TextField()
    message = models.TextField()

    class Meta:
        app_label = "notes_chat_messages"


# Connected to chat-messages
def msg_consumer(message):
    # Save to model
    room = message.content["room"]
    ChatMessage.objects.create(
        room=room,
        message=message.content["message"],
    )
    # Broadcast to listening sockets
    Group("chat-%s" % room).send(
        {
            "text": message.content["message"],
        }
    )


# Connected to websocket.connect
@channel_session
def ws_connect(message):
    # Work out room name from path (ignore slashes)
    room = message.content["path"].strip("/")
    # Save room in session and add us to the group
    message.channel_session["room"] = room
    Group("chat-%s" % room).add(message.reply_channel)
    # Accept the connection request
    message.reply_channel.send({"accept": True})


# Connected to websocket.receive
@channel_session
def ws_message(message):
    # Stick the message onto the processing queue
    Channel("chat-messages").send(
        {
            "room": message.channel_session["room"],
            "message": message["text"],
        }
    )


# Connected to websocket.disconnect
@channel_session
def ws_disconnect(message):
    Group("chat-%s" % message.channel_session["room"]).discard(message.reply_channel)


channel_routing = [
    route("websocket.connect", ws_connect),
    route("websocket.receive", ws_message),
    route("websocket.disconnect", ws_disconnect),
    route("chat-messages", msg_consumer),
]


def test_what_a_socket_says_is_saved_and_broadcast(make_site, create_table):
    create_table(ChatMessage)
    site = make_site(channel_routing)
    anna, ben = Socket(site, "/kitchen/"), Socket(site, "/kitchen/")
    anna.connect(), ben.connect()

    assert anna.send("hello") == ben.received() == [{"text": "hello"}]
    assert list(ChatMessage.objects.values_list("room", "message")) == [("kitchen", "hello")]
    ben.disconnect()
    assert site.layer.group_channels("chat-kitchen") == [anna.reply_channel]


def test_a_view_a_signal_or_a_command_may_say_something_too(make_site, create_table):
    create_table(ChatMessage)
    site = make_site(channel_routing)
    socket = Socket(site, "/kitchen/")
    socket.connect()
    Channel("chat-messages").send({"room": "kitchen", "message": "Dinner is ready"})
    site.work()

    assert socket.received() == [{"text": "Dinner is ready"}]
    assert ChatMessage.objects.get().message == "Dinner is ready"
