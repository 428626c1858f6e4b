"""
Rooms and messages.

A message may be saved from anywhere: a consumer, a view, the admin, a shell. ``broadcast.py`` tells the
open windows about each one, so nothing here needs to know that windows exist.
"""

import hashlib
import unicodedata
import uuid
from datetime import timedelta

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from django.db import IntegrityError, models, transaction
from django.db.models import F, Func, OuterRef, Subquery, Value
from django.db.models.functions import Coalesce, Greatest
from django.urls import reverse
from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.names import look_of

MAX_TEXT = 2000

# A user may send this many messages within this many seconds.
RATE_MESSAGES = 10
RATE_SECONDS = 10

# A list of rooms counts unread messages up to this number; what is above it, it shows as "99+".
MOST_UNREAD = 99

# How often a room looks for an address, when others take what it has found.
SLUG_ATTEMPTS = 5


class TooFast(Exception):
    """A user has sent more than the rate allows. ``seconds``: when to try again."""

    def __init__(self, seconds):
        sentence = ngettext(
            "You are writing too fast. Wait a second.", "You are writing too fast. Wait %(seconds)d seconds.", seconds
        )
        super().__init__(sentence % {"seconds": seconds})
        self.seconds = seconds


def validate_text(text):
    """
    Refuse text that cannot be stored or that nobody could see.

    Line breaks and tabs are welcome; other control characters and halves of a broken character are not.
    """
    categories = {unicodedata.category(character) for character in text if character not in "\r\n\t"}
    if categories & {"Cc", "Cs"}:
        raise ValidationError(_("The text holds characters that cannot be shown."), code="unprintable")
    if not any(category[0] in "LNPS" for category in categories):
        raise ValidationError(_("Write something first."), code="empty")


class RoomManager(models.Manager):
    def newest_first(self):
        """Return all rooms, those somebody wrote in last first."""
        newest = Message.objects.filter(room=OuterRef("pk")).order_by("-pk")
        rooms = self.annotate(latest_pk=Subquery(newest.values("pk")[:1]))
        return rooms.order_by(F("latest_pk").desc(nulls_last=True), "-pk")

    def listed(self, page, user):
        """
        Return the rooms of a page of ``newest_first``, with the newest message and what is ``unread`` for a user.

        Of each room the newest hundred messages are looked at, however long its history is: ``MOST_UNREAD + 1`` are
        that many or more.
        """
        newest = Message.objects.filter(room=OuterRef("pk")).order_by("-pk")
        counted = Message.objects.filter(room=OuterRef(OuterRef("pk"))).order_by("-pk").values("pk")[: MOST_UNREAD + 1]
        read = LastRead.objects.filter(user=user.pk, room=OuterRef(OuterRef("pk"))).values("message")
        unread = Message.objects.filter(pk__in=counted, pk__gt=Coalesce(Subquery(read), 0)).exclude(author=user.pk)
        count = unread.order_by().values(count=Func("pk", function="COUNT"))
        return (
            self.newest_first()
            .filter(pk__in=page)
            .annotate(
                latest_text=Subquery(newest.values("text")[:1]),
                latest_created=Subquery(newest.values("created")[:1]),
                unread=Subquery(count) if user.pk else Value(0),
            )
        )


def look_of_room(name):
    """Return what names of rooms that can be taken for each other have in common, by a hash: a name may be long."""
    return hashlib.sha256(look_of(" ".join(name.split())).encode(errors="replace")).hexdigest()


class RoomLookField(models.CharField):
    """What the name of a room looks like, made from it whenever the room is saved, by ``bulk_create`` as well."""

    def pre_save(self, instance, add):
        instance.look = look_of_room(instance.name)
        return instance.look


class Room(models.Model):
    """A place to talk. Its name is any text; its address and its group never depend on that text alone."""

    name = models.CharField(max_length=80, unique=True, validators=[validate_text])
    slug = models.SlugField(max_length=100, unique=True, allow_unicode=True, editable=False)

    # Not unique in the database: rooms from before there were looks may share one.
    look = RoomLookField(max_length=64, db_default="", db_index=True, editable=False)

    objects = RoomManager()

    def __str__(self):
        return self.name

    def save(self, *, update_fields=None, **kwargs):
        if update_fields is not None and "name" in update_fields:
            update_fields = {*update_fields, "look"}
        if self.slug:
            super().save(update_fields=update_fields, **kwargs)
        else:
            self.save_with_free_slug(update_fields=update_fields, **kwargs)

    def get_absolute_url(self):
        return reverse("room", args=[self.slug])

    def clean(self):
        if Room.objects.filter(look=look_of_room(self.name)).exclude(pk=self.pk).exists():
            sentence = _("There is a room of this name already, or of one that looks like it.")
            raise ValidationError({"name": ValidationError(sentence, code="unique")})

    def save_with_free_slug(self, **kwargs):
        """Save under an address of its own, also when another room takes the one that was just free."""
        for attempt in range(1, SLUG_ATTEMPTS + 1):
            slug = self.free_slug()
            self.slug = slug
            try:
                with transaction.atomic():
                    return super().save(**kwargs)
            except IntegrityError:
                self.slug = ""
                if attempt == SLUG_ATTEMPTS or not Room.objects.filter(slug=slug).exists():
                    raise  # or it is the name that is taken

    def free_slug(self):
        """Return the name as it may stand in an address, with a number behind it where that is taken."""
        # Cut, because one character such as U+FDFA may become eighteen when it is made plain.
        slug = wanted = slugify(self.name, allow_unicode=True)[:80] or "room"
        number = 1
        while Room.objects.filter(slug=slug).exists():
            number += 1
            slug = f"{wanted}-{number}"
        return slug


class MessageManager(models.Manager):
    @transaction.atomic
    def say(self, room, author, text, client_id):
        """
        Save what a user says, and return the message and whether it is new.

        A browser that saw no answer sends its message again under the same ``client_id``: it is saved once.
        Raises ``TooFast`` when the author has used up the rate.
        """
        # One message of an author after the other, or ten workers could each save an eleventh one.
        get_user_model().objects.select_for_update().get(pk=author.pk)
        known = self.filter(author=author, client_id=client_id).first()
        if known:
            return known, False
        self.check_rate(author)
        return self.create(room=room, author=author, text=text, client_id=client_id), True

    def check_rate(self, author):
        """Raise ``TooFast`` unless the author may send one more message now."""
        start = timezone.now() - timedelta(seconds=RATE_SECONDS)
        recent = self.filter(author=author, created__gt=start).order_by("-created")
        times = list(recent.values_list("created", flat=True)[:RATE_MESSAGES])
        if len(times) == RATE_MESSAGES:
            raise TooFast(seconds=int((times[-1] - start).total_seconds()) + 1)


class Message(models.Model):
    """One thing said in a room. Without an author, the site itself speaks."""

    room = models.ForeignKey(Room, models.CASCADE, related_name="messages")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, blank=True)
    text = models.TextField(validators=[MaxLengthValidator(MAX_TEXT), validate_text])
    created = models.DateTimeField(default=timezone.now, editable=False)
    client_id = models.UUIDField(default=uuid.uuid4, editable=False)

    objects = MessageManager()

    class Meta:
        ordering = ["pk"]
        indexes = [
            models.Index(fields=["room", "id"], name="chat_history"),
            models.Index(fields=["author", "created"], name="chat_rate"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["author", "client_id"], name="chat_said_once"),
        ]

    def __str__(self):
        return f"{self.author or 'The site'}: {self.text[:40]}"

    def save(self, **kwargs):
        self.text = self.text.replace("\r\n", "\n")  # forms send line breaks the long way
        super().save(**kwargs)


class LastReadManager(models.Manager):
    def mark(self, user, room_pk, message_pk):
        """Note up to which message a user has read a room. Nothing is written if that is known."""
        try:
            last_read, _ = self.get_or_create(user=user, room_id=room_pk, defaults={"message": message_pk})
        except IntegrityError:
            return  # the room is gone, or the user
        if last_read.message < message_pk:
            # Another window of the user may be ahead by now, and nobody unreads anything.
            last_read.message = Greatest("message", Value(message_pk))
            last_read.save(update_fields=["message"])


class LastRead(models.Model):
    """
    How far a user has read a room: the number of the newest message he has seen. What others have said since is unread.

    No foreign key: the message may be deleted.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    room = models.ForeignKey(Room, models.CASCADE, related_name="+")
    message = models.BigIntegerField()

    objects = LastReadManager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "room"], name="chat_read_once")]

    def __str__(self):
        return f"{self.user} has read {self.room} up to message {self.message}"
