"""Consumers as a site has them: in order, with the session and the user of the socket."""

from channels import Group
from channels.auth import channel_session_user, channel_session_user_from_http
from channels.security.websockets import allowed_hosts_only
from channels.sessions import enforce_ordering


def name_in_session(message):
    return message.channel_session["name"]


def name_of_user(message):
    return message.user.username


def name_and_count(message):
    message.channel_session["said"] += 1
    return message.channel_session["name"]


# What a variant asks for with each message; the answers show that it got that.
NAMES = {"read": name_in_session, "user": name_of_user, "changed": name_and_count}


@enforce_ordering
@allowed_hosts_only
@channel_session_user_from_http
def connect(message, variant, room=None):
    message.channel_session["name"] = message.user.username
    message.channel_session["said"] = 0
    if room is not None:
        Group(f"room-{room}").add(message.reply_channel)
    message.reply_channel.send({"accept": True})


@enforce_ordering
@channel_session_user
def echo_receive(message, variant):
    message.reply_channel.send({"text": f"{NAMES[variant](message)}: {message['text']}"})


@enforce_ordering
@channel_session_user
def room_receive(message, variant, room):
    Group(f"room-{room}").send({"text": f"{NAMES[variant](message)}: {message['text']}"})


@enforce_ordering
@channel_session_user
def room_disconnect(message, variant, room):
    Group(f"room-{room}").discard(message.reply_channel)
