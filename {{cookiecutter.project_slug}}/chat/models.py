"""
Rooms and messages.

A message may be saved from anywhere: a consumer, a view, the admin, a shell. ``broadcast.py`` tells the
open windows about each one, so nothing here needs to know that windows exist.
"""

import unicodedata
import uuid
from datetime import timedelta

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from django.db import IntegrityError, models, transaction
from django.db.models import F, OuterRef, Subquery
from django.urls import reverse
from django.utils import timezone
from django.utils.text import slugify

MAX_TEXT = 2000

# A user may send this many messages within this many seconds.
RATE_MESSAGES = 10
RATE_SECONDS = 10

# How often a room looks for an address, when others take what it has found.
SLUG_ATTEMPTS = 5


class TooFast(Exception):
    """A user has sent more than the rate allows. ``seconds``: when to try again."""

    def __init__(self, seconds):
        super().__init__(f"You are writing too fast. Wait {seconds} seconds.")
        self.seconds = seconds


def validate_text(text):
    """
    Refuse text that cannot be stored or that nobody could see.

    Line breaks and tabs are welcome; other control characters and halves of a broken character are not.
    """
    categories = {unicodedata.category(character) for character in text if character not in "\r\n\t"}
    if categories & {"Cc", "Cs"}:
        raise ValidationError("The text holds characters that cannot be shown.", code="unprintable")
    if not any(category[0] in "LNPS" for category in categories):
        raise ValidationError("Write something first.", code="empty")


class RoomManager(models.Manager):
    def newest_first(self):
        """Return all rooms, those somebody wrote in last first, each with its newest message."""
        newest = Message.objects.filter(room=OuterRef("pk")).order_by("-pk")
        rooms = self.annotate(
            latest_pk=Subquery(newest.values("pk")[:1]),
            latest_text=Subquery(newest.values("text")[:1]),
            latest_created=Subquery(newest.values("created")[:1]),
        )
        return rooms.order_by(F("latest_pk").desc(nulls_last=True), "-pk")


class Room(models.Model):
    """
    A place to talk. Its name is any text; its address and its group never depend on that text alone.

    ``said`` counts the messages that have been saved in it, also those that were deleted later.
    """

    name = models.CharField(max_length=80, unique=True, validators=[validate_text])
    slug = models.SlugField(max_length=100, unique=True, allow_unicode=True, editable=False)
    said = models.PositiveIntegerField(default=0, editable=False)

    objects = RoomManager()

    def __str__(self):
        return self.name

    def save(self, **kwargs):
        if not self._state.adding:
            # What is said while a room is in hand stays counted.
            kwargs.setdefault("update_fields", ["name", "slug"])
        if self.slug:
            super().save(**kwargs)
        else:
            self.save_with_free_slug(**kwargs)

    def get_absolute_url(self):
        return reverse("room", args=[self.slug])

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
    def mark(self, user, room_pk, said):
        """Note that a user has read what has been said in a room, so many messages. Nobody unreads anything."""
        last_read, is_new = self.get_or_create(user=user, room_id=room_pk, defaults={"said": said})
        if not is_new and last_read.said < said:
            last_read.said = said
            last_read.save(update_fields=["said"])


class LastRead(models.Model):
    """How far a user has read in a room: what ``said`` counted there then. The rest is unread."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    room = models.ForeignKey(Room, models.CASCADE, related_name="+")
    said = models.PositiveIntegerField()

    objects = LastReadManager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "room"], name="chat_read_once")]

    def __str__(self):
        return f"{self.user} has read {self.said} in {self.room}"
