from channels import Group


def echo_connect(message):
    message.reply_channel.send({"accept": True})


def echo_receive(message):
    message.reply_channel.send({"text": message["text"]})


def room_connect(message, room):
    Group(f"room-{room}").add(message.reply_channel)
    message.reply_channel.send({"accept": True})


def room_receive(message, room):
    Group(f"room-{room}").send({"text": message["text"]})


def room_disconnect(message, room):
    Group(f"room-{room}").discard(message.reply_channel)
