import json

from channels import Channel
from channels.auth import channel_session_user, channel_session_user_from_http

from .exceptions import Refused
from .models import Room
from .utils import explains_refusals, find_room


@channel_session_user_from_http
def ws_connect(message):
    message.reply_channel.send({"accept": True})
    message.channel_session["rooms"] = []


def ws_receive(message):
    command = json.loads(message["text"])
    command["reply_channel"] = message.content["reply_channel"]
    Channel("chat.commands").send(command)


@channel_session_user
def ws_disconnect(message):
    for room in Room.objects.filter(pk__in=message.channel_session.get("rooms", [])):
        room.members.discard(message.reply_channel)
        room.tell("left", message.user)


@channel_session_user
@explains_refusals
def join(message):
    room = find_room(message["room"], message.user)
    room.members.add(message.reply_channel)
    message.channel_session["rooms"] = sorted({room.id} | set(message.channel_session["rooms"]))
    message.reply_channel.send({"text": json.dumps({"joined": room.id, "title": room.title})})
    room.tell("came", message.user)


@channel_session_user
@explains_refusals
def leave(message):
    room = find_room(message["room"], message.user)
    room.tell("left", message.user)
    room.members.discard(message.reply_channel)
    message.channel_session["rooms"] = sorted(set(message.channel_session["rooms"]) - {room.id})
    message.reply_channel.send({"text": json.dumps({"left": room.id})})


@channel_session_user
@explains_refusals
def say(message):
    if int(message["room"]) not in message.channel_session["rooms"]:
        raise Refused("join the room first")
    find_room(message["room"], message.user).tell("said", message.user, message["text"])
