"""
What happens in the database is told to the open windows.

The signals below run wherever a message is saved: in a consumer, a view, the admin, a command, a shell. They
send after the commit: a message that is rolled back is never seen, and one that is seen can be looked up.
"""

import json

from django.conf import settings
from django.contrib.auth.signals import user_logged_out
from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from channels import Group

from .frames import message_frame, removed_frame
from .models import Message, Room

# Why a socket was closed. The numbers from 4000 to 4999 are ours to choose.
SIGNED_OUT = 4401
ROOM_GONE = 4404


def room_group(room_pk):
    """Name the group of the sockets in a room. By number: a name given by a user is not a group name."""
    return f"room-{room_pk}"


def user_group(user_pk):
    """Name the group of the sockets a user has open, in any room."""
    return f"user-{user_pk}"


@receiver(post_save, sender=Message)
def message_saved(sender, instance, raw, using, **kwargs):
    if raw:  # loaddata saves messages before their rooms and authors
        return
    frame = message_frame(instance)
    send_after_commit(room_group(instance.room_id), {"text": json.dumps(frame)}, using)


@receiver(post_delete, sender=Message)
def message_deleted(sender, instance, using, origin, **kwargs):
    if not is_whole_room(origin):
        frame = removed_frame(instance.pk)
        send_after_commit(room_group(instance.room_id), {"text": json.dumps(frame)}, using)


def is_whole_room(origin):
    """Say whether messages are deleted with their rooms: one word about the room is enough then."""
    return getattr(origin, "model", type(origin)) is Room


@receiver(post_delete, sender=Room)
def room_deleted(sender, instance, using, **kwargs):
    send_after_commit(room_group(instance.pk), {"close": ROOM_GONE}, using)


@receiver(user_logged_out)
def user_signed_out(sender, user, **kwargs):
    """
    Close the sockets of a user who signs out.

    The windows connect again. Those whose login is still good, on another device, go on; the others may read.
    """
    if user is not None:
        send_after_commit(user_group(user.pk), {"close": SIGNED_OUT})


@receiver(post_save, sender=settings.AUTH_USER_MODEL)
def user_saved(sender, instance, created, using, **kwargs):
    """The same for a user with a new password, wherever it was set, and for one whose account is closed."""
    # Django forgets the password itself right after this; it is there if ``set_password`` was called.
    if not created and (instance._password is not None or not instance.is_active):
        send_after_commit(user_group(instance.pk), {"close": SIGNED_OUT}, using)


def send_after_commit(group, content, using=None):
    """
    Send to a group when the transaction is committed.

    ``robust``: a channel layer that cannot be reached is logged. The message is saved all the same, and the
    windows find it at their next sync.
    """
    transaction.on_commit(lambda: Group(group).send(content), using=using, robust=True)
