"""What the tests of `enforce_ordering` share: consumers, and messages that come in any order."""

import time

from channels import route
from channels.sessions.ordering import GAP_TIMEOUT, enforce_ordering

from .due import run_due
from .sites import Socket


@enforce_ordering
def connect(message):
    message.reply_channel.send({"accept": True})


@enforce_ordering
def receive(message):
    count = message.channel_session["count"] = message.channel_session.get("count", 0) + 1
    message.reply_channel.send({"text": f"{message['text']} is message {count}"})


@enforce_ordering
def disconnect(message):
    message.reply_channel.send({"text": f"gone after {message.channel_session.get('count', 0)}"})


def routes(connect=connect, receive=receive, disconnect=disconnect):
    return [
        route("websocket.connect", connect),
        route("websocket.receive", receive),
        route("websocket.disconnect", disconnect),
    ]


def connected(site):
    socket = Socket(site)
    socket.connect()
    return socket


def frames(socket, *texts):
    return [("websocket.receive", socket.message(text=text)) for text in texts]


def ending(socket):
    return ("websocket.disconnect", socket.message(code=1000))


def deliver(site, messages):
    """Let a worker have messages in this order."""
    for channel, content in messages:
        site.layer.send(channel, content)
        site.work()


def texts(socket):
    return [reply.get("text") for reply in socket.received()]


def wait_for_gaps():
    for _ in range(2):
        run_due(time.monotonic() + GAP_TIMEOUT)
