from django.contrib.auth import get_user_model

from channels import Group, route


def connect(message):
    Group("shop").add(message.reply_channel)
    message.reply_channel.send({"accept": True})


def receive(message):
    get_user_model().objects.create_user(message["text"])
    Group("shop").send({"text": f"welcome {message['text']}"})


channel_routing = [route("websocket.connect", connect), route("websocket.receive", receive)]
