import json
import os
import time

from channels import Group
from channels.sessions import enforce_ordering

# Tests replace this line: it is the new code that a deploy brings.
VERSION = 1


def note(line):
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(f"{line}\n")


@enforce_ordering
def connect(message, room):
    Group(room).add(message.reply_channel)
    message.reply_channel.send({"accept": True})


@enforce_ordering
def receive(message, room):
    frame = json.loads(message["text"])
    if "sleep" in frame:
        note(f"begun {frame['id']} {os.getpid()}")
        time.sleep(frame["sleep"])
    Group(room).send({"text": json.dumps({**frame, "version": VERSION})})


@enforce_ordering
def disconnect(message, room):
    note(f"disconnect {message['reply_channel']} {message['code']}")


def hold(message):
    note(f"held {message['reply_channel']}")


def left(message):
    note(f"left {message['path']} {message['reply_channel']}")


def connect_unordered(message, room):
    Group(room).add(message.reply_channel)
    message.reply_channel.send({"accept": True})


def receive_unordered(message, room):
    Group(room).send({"text": json.dumps({**json.loads(message["text"]), "version": VERSION})})
