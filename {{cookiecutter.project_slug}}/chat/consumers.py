"""
The live side of the chat. Read it from top to bottom: it is the order in which things happen.

A browser opens a socket at /rooms/<slug>/ and both sides send JSON objects as text frames.

From the browser:

    {"type": "say", "id": "<uuid>", "text": "Hello"}    say something; sent again under the same id until
                                                        a message with this id has come back
    {"type": "sync", "after": 17, "read": true}         give me what came after message 17; "read": and somebody is
                                                        looking at it

From the server:

    {"type": "message", "pk": 18, "id": "<uuid>", "author": "anna", "text": "Hello", "created": "<ISO 8601>"}
                                                        a message was saved, or saved again with a change;
                                                        "author" is null when the site itself speaks
    {"type": "messages", "messages": [...], "more": false, "user": "anna"}
                                                        the answer to a sync: at most 50, the oldest first;
                                                        "more": sync again; "user": who you are by now, or null
    {"type": "removed", "pk": 18}                       a message was deleted
    {"type": "refused", "id": "<uuid>", "reason": "rate", "detail": "...", "seconds": 4}
                                                        no, and why. Reasons: malformed, text, login, rate, gone.
                                                        "id" and "seconds" may be null

Anyone may read. To write, one must be signed in.

A channel layer delivers at most once, so a frame can be lost. Nothing depends on a single frame: a browser
asks again (sync) and says again (same id) until it knows.
"""

import json
import time

from django.contrib.auth import get_user_model
from django.http import HttpResponse

from channels import Channel, Group
from channels.auth import channel_session_user, channel_session_user_from_http
from channels.exceptions import DenyConnection
from channels.handler import AsgiHandler
from channels.sessions import channel_session, enforce_ordering

from . import bucket
from .broadcast import room_group, user_group
from .frames import Refused, Say, message_frame, messages_frame, read, refused_frame
from .models import LastRead, Message, Room, TooFast

# The answer to a sync holds this many messages. Fifty of the longest ones stay well below a megabyte.
SYNC_MESSAGES = 50

# A socket may send this many frames at once, and this many a second in the long run.
SOCKET_FRAMES = 50
SOCKET_FRAMES_PER_SECOND = 5

POLICY_VIOLATION = 1008


# A frame that is lost with its worker closes the socket; the browser connects again and asks for what it has missed.
@enforce_ordering
@channel_session_user_from_http
def connect(message, slug):
    """
    Let a socket into its room.

    The socket joins the group before it is accepted. The browser syncs after that, so each message is either
    in the answer or broadcast to the group: none can fall between.
    """
    room = Room.objects.filter(slug=slug).first()
    if room is None:
        raise DenyConnection
    message.channel_session["room"] = room.pk
    Group(room_group(room.pk)).add(message.reply_channel)
    if message.user.is_authenticated:
        Group(user_group(message.user.pk)).add(message.reply_channel)
    message.reply_channel.send({"accept": True})


def refuse(message):
    """Refuse a socket at an address where there is nothing."""
    raise DenyConnection


@enforce_ordering
@channel_session_user
def receive(message, slug):
    """Read one frame and answer it, or hand it over."""
    if not take_token(message):
        message.reply_channel.send({"close": POLICY_VIOLATION})
        return
    try:
        if message.get("text") is None:
            raise Refused("malformed", "Only text frames are understood here.")
        frame = read(message["text"])
        if isinstance(frame, Say):
            say(message, frame)
        else:
            sync(message, frame)
    except Refused as refused:
        reply(message, refused_frame(refused.reason, refused.detail, refused.client_id))


@enforce_ordering
@channel_session
def disconnect(message, slug):
    """Leave the room. (A socket that vanished without a word leaves its groups by itself.)"""
    room = message.channel_session.get("room")
    if room is not None:
        Group(room_group(room)).discard(message.reply_channel)


def take_token(message):
    """
    Count this frame; return whether the socket may send it.

    The frames of one socket run one after the other, and what is in the channel session comes with each of
    them. So the count is right although many workers share the work.
    """
    tokens = bucket.take(message.channel_session.get("tokens"), time.time(), SOCKET_FRAMES, SOCKET_FRAMES_PER_SECOND)
    if tokens is not None:
        message.channel_session["tokens"] = tokens
    return tokens is not None


def say(message, frame):
    """
    Hand a message over to the channel ``chat-messages``, and be free for the next frame.

    One channel for many workers: what comes in quick succession may be saved in another order. So the browser
    waits until one message has come back before it says the next.

    ``message.user`` was loaded for this very frame: nobody writes on after the account was closed or its
    password changed.
    """
    if not message.user.is_authenticated:
        raise Refused("login", "Sign in to write.", frame.client_id)
    Channel("chat-messages").send(
        {
            "room": message.channel_session["room"],
            "author": message.user.pk,
            "text": frame.text,
            "client_id": frame.client_id,
            "reply_channel": message.reply_channel.name,
        }
    )


def sync(message, frame):
    """Answer with what was said after the given message, a page at a time."""
    room = message.channel_session["room"]
    found = Message.objects.filter(room=room, pk__gt=frame.after).select_related("author")
    messages = list(found[: SYNC_MESSAGES + 1])
    more = len(messages) > SYNC_MESSAGES
    seen = messages[-1].pk if messages else frame.after
    if frame.read and seen and not more and message.user.is_authenticated:
        LastRead.objects.mark(message.user, room, seen)
    reply(message, messages_frame(messages[:SYNC_MESSAGES], more, message.user))


def save(message):
    """
    Save a message. Nothing is sent to the room here: saving does that, see ``broadcast.py``.

    Anything may send to ``chat-messages``; a bot would go here, too. Only who gives a reply channel is told
    when it does not work.
    """
    client_id = message["client_id"]
    room = Room.objects.filter(pk=message["room"]).first()
    author = get_user_model().objects.filter(pk=message["author"], is_active=True).first()
    if room is None or author is None:
        reply(message, refused_frame("gone", "This room or your account is gone.", client_id))
        return
    try:
        saved, is_new = Message.objects.say(room, author, message["text"], client_id)
    except TooFast as too_fast:
        reply(message, refused_frame("rate", str(too_fast), client_id, too_fast.seconds))
        return
    if not is_new:  # the sender missed the broadcast
        reply(message, message_frame(saved))


def reply(message, frame):
    """Send a frame to the socket that a message came from, if it came from one."""
    if message.reply_channel is not None:
        message.reply_channel.send({"text": json.dumps(frame)})


def live_txt(message):
    """
    Answer /live.txt with the newest messages of all rooms, one a line: ``curl http://127.0.0.1:8000/live.txt``.

    A consumer of ``http.request`` instead of a view: no middleware, no URL configuration, a plain function
    from a message to messages. So ``ALLOWED_HOSTS`` is not checked either: nothing here depends on the host,
    and anyone may read.
    """
    newest = Message.objects.select_related("room", "author").order_by("-pk")[:20]
    response = HttpResponse(map(as_line, reversed(newest)), content_type="text/plain; charset=utf-8")
    response["X-Content-Type-Options"] = "nosniff"
    for chunk in AsgiHandler.encode_response(response):
        message.reply_channel.send(chunk)


def as_line(said):
    text = " ".join(said.text.split())  # a line break in it would look like one more message
    return f"{said.created:%Y-%m-%dT%H:%MZ} [{said.room}] {said.author or 'the site'}: {text}\n"
