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


def connect_unordered(message, room):
    Group(room).add(message.reply_channel)
    message.reply_channel.send({"accept": True})


def receive_unordered(message, room):
    frame = json.loads(message["text"])
    if "sleep" in frame:
        note(f"begun {frame['id']} {os.getpid()}")
        time.sleep(frame["sleep"])
    Group(room).send({"text": json.dumps({**frame, "version": VERSION})})


connect = enforce_ordering(connect_unordered)
receive = enforce_ordering(receive_unordered)


@enforce_ordering
def disconnect(message, room):
    note(f"disconnect {message['reply_channel']} {message['code']}")


def hold(message):
    note(f"held {message['reply_channel']}")


def left(message):
    note(f"left {message['path']} {message['reply_channel']}")
