import time

from channels import Group

from .notes import note


def accept(message):
    message.reply_channel.send({"accept": True})


def reject(message):
    message.reply_channel.send({"accept": False})


def accept_slowly(message):
    note(f"connecting {message['path']}")
    time.sleep(1)
    message.reply_channel.send({"accept": True})


def say_nothing(message):
    pass


def join(message):
    Group("room").add(message.reply_channel)
    message.reply_channel.send({"accept": True})


def join_late(message):
    note(f"connect {message['path']}")
    time.sleep(0.02)
    join(message)


def echo(message):
    data = {"text": message["text"]} if "text" in message else {"bytes": message["bytes"]}
    message.reply_channel.send(data)


def tell_all(message):
    Group("room").send({"text": message["text"]})


def join_thinkers(message):
    Group("thinkers").add(message.reply_channel)
    message.reply_channel.send({"accept": True})


def think(message):
    note("begun to think")
    time.sleep(float(message["text"]))


def count_members(message):
    group = Group(message["text"])
    message.reply_channel.send({"text": str(len(group.channel_layer.group_channels(group.name)))})


def close_with_code(message):
    message.reply_channel.send({"text": "bye", "close": int(message["text"])})


def make_mistakes(message):
    """Reply in ways that no client can be told about, then go on, or end with a reply after the close."""
    reply = message.reply_channel.send
    reply({"text": "both", "bytes": b"both"})
    reply({"text": "one", "colour": "red"})
    if message["text"] == "close":
        reply({"close": True})
        reply({"text": "after the close"})


def write_down_the_end(message):
    note(f"disconnect {message['path']} {message['code']} {message['reply_channel']}")


def open_event_stream(message):
    headers = [[b"content-type", b"text/event-stream"]]
    message.reply_channel.send({"status": 200, "headers": headers, "content": b": open\n\n", "more_content": True})
    Group("events").add(message.reply_channel)


def write_down_the_leaving(message):
    note(f"left {message['path']}")


def take_time(message):
    time.sleep(0.02)
    note("taken")
