"""The table of messages that wait until they are due."""

from __future__ import annotations

import contextlib
import datetime
import secrets
from collections.abc import Iterable

from django.db import connections, models, transaction
from django.utils import timezone

# Seconds after which whoever has taken a row and not come back is taken for dead.
ABANDONED = 60.0
_KILLED = (
    "The process that took this message to send it has ended without a word, so the message may have been sent or not. "
    "To have it sent, set the state to 'waiting'."
)


class State(models.TextChoices):
    """Where a row is on its way: it leaves the table when its message has been sent."""

    WAITING = "waiting"
    TAKEN = "taken"
    PARKED = "parked"


class DelayedMessageQuerySet(models.QuerySet["DelayedMessage"]):
    """
    The rows, and how they are taken.

    A row is sent by whoever has taken it, and that is committed before: so none is sent twice, whatever happens then.
    """

    def is_due(self) -> DelayedMessageQuerySet:
        """Return the rows that should have been sent by now."""
        return self.filter(due_date__lte=timezone.now())

    def take_due(self, most: int) -> list[DelayedMessage]:
        """Take waiting rows that are due, the oldest first, and return those that no other process has taken."""
        token = secrets.token_hex(16)
        due = self.filter(state=State.WAITING).is_due().order_by("due_date", "pk")
        guard: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
        features = connections[self.db].features
        if features.has_select_for_update_skip_locked and features.supports_select_for_update_with_limit:
            # Others need not wait for these rows, only to find them taken.
            due, guard = due.select_for_update(skip_locked=True), transaction.atomic(using=self.db)
        with guard:
            keys = list(due.values_list("pk", flat=True)[:most])
            # A single statement sees and changes a row at once, in each database: only one process finds it waiting.
            rows = self.filter(pk__in=keys)
            rows.filter(state=State.WAITING).update(state=State.TAKEN, taken_by=token, taken_at=timezone.now())
            return list(rows.filter(taken_by=token).order_by("due_date", "pk"))

    def taken(self, rows: Iterable[DelayedMessage]) -> DelayedMessageQuerySet:
        """Return rows that have been taken together, for what becomes of them."""
        rows = list(rows)
        return self.filter(pk__in=[row.pk for row in rows], taken_by__in={row.taken_by for row in rows})

    def give_back(self, rows: Iterable[DelayedMessage]) -> None:
        """Let rows wait again that have been taken and not been sent."""
        self.taken(rows).update(state=State.WAITING, note="", taken_by="", taken_at=None)

    def park(self, rows: Iterable[DelayedMessage], note: str) -> None:
        """Keep rows that have been taken, and send them no more; the note says why."""
        self.taken(rows).update(state=State.PARKED, note=note)

    def park_abandoned(self) -> int:
        """Park rows that have been taken by processes that were killed; return how many."""
        long_ago = timezone.now() - datetime.timedelta(seconds=ABANDONED)
        return self.filter(state=State.TAKEN, taken_at__lt=long_ago).update(state=State.PARKED, note=_KILLED)


class DelayedMessage(models.Model):
    """
    One message that waits: ``content`` is for ``channel_name`` on the layer with the alias ``layer``.

    ``content`` is the JSON that ``channels.delay.content`` makes of it. What is parked stays until somebody deletes it
    or lets it wait again, and ``note`` says why.
    """

    due_date: models.DateTimeField[datetime.datetime, datetime.datetime] = models.DateTimeField()
    channel_name: models.CharField[str, str] = models.CharField(max_length=512)
    content: models.TextField[str, str] = models.TextField()
    layer: models.CharField[str, str] = models.CharField(max_length=100, default="default")
    state: models.CharField[str, str] = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    note: models.TextField[str, str] = models.TextField(blank=True, default="")
    # Of the process that has the row in hand, or has stored it.
    taken_by: models.CharField[str, str] = models.CharField(max_length=32, blank=True, default="")
    taken_at: models.DateTimeField[datetime.datetime | None, datetime.datetime | None] = models.DateTimeField(
        null=True, blank=True
    )

    objects = DelayedMessageQuerySet.as_manager()

    class Meta:
        # Also for who imports this without having installed the app.
        app_label = "channels_delay"
        indexes = [models.Index(fields=["layer", "state", "due_date"], name="channels_delay_due")]

    def __str__(self) -> str:
        return f"{self.channel_name} at {self.due_date}"

    @property
    def delay(self) -> float:
        """In how many milliseconds it is due; setting it sets ``due_date``."""
        return (self.due_date - timezone.now()).total_seconds() * 1000

    @delay.setter
    def delay(self, milliseconds: float) -> None:
        self.due_date = timezone.now() + datetime.timedelta(milliseconds=milliseconds)
