"""Consumers without sessions, and without an order of their own."""

import json
import random
import time

from channels import Group
from channels.sessions import enforce_ordering

from .consumers import VERSION, note


def connect(message, room):
    Group(room).add(message.reply_channel)
    message.reply_channel.send({"accept": True})


def tell(message, room):
    """Tell the room; ``size`` asks for so many bytes."""
    frame = json.loads(message["text"])
    padding = {"padding": "x" * frame["size"]} if "size" in frame else {}
    Group(room).send({"text": json.dumps({**frame, **padding, "version": VERSION})})


def tell_after_work(message, room):
    """Be at work for up to ten milliseconds before that."""
    time.sleep(random.uniform(0, 0.01))
    tell(message, room)


tell_in_order_after_work = enforce_ordering(tell_after_work)


def take_time(message, room):
    time.sleep(0.5)
    note("taken")


def echo(message):
    data = {"text": message["text"]} if message.get("text") is not None else {"bytes": message["bytes"]}
    message.reply_channel.send(data)


def answer_loudly(message, room):
    """Answer with seventeen times as much, all at once."""
    for _ in range(17):
        message.reply_channel.send({"text": message["text"]})


@enforce_ordering
def echo_in_order_and_fail_once(message, room):
    if message["text"] == "7":
        raise RuntimeError("The seventh message fails.")
    message.reply_channel.send({"text": message["text"]})


def write_down_the_end(message, **kwargs):
    note(f"disconnect {message['reply_channel']} {message['code']}")


def ignore(message):
    """Take a message away."""
