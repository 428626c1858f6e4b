"""
Keep messages that are to be sent later, and send them when they are due.

One thread does both: it waits for the next message on ``asgi.delay``, but no longer than until the next row is due.
Each message is sent at most once, as every message is: its row is taken first, then it is sent, and then deleted.
"""

from __future__ import annotations

import functools
import logging
import math
import secrets
import threading
import time
from collections.abc import Callable, Sequence

from django.db import DataError, Error, connections, router
from django.utils import timezone

from ..layers.base import Send
from ..registry import ChannelLayerWrapper
from ..values.delays import CHANNEL, delayed, read_delayed
from ..values.outage import Outage
from ..values.pauses import Pauses
from .content import from_text, to_text
from .models import ABANDONED, DelayedMessage, DelayedMessageQuerySet, State

logger = logging.getLogger(__name__)

# Seconds between two looks into the table: there may be rows of others, who do not say so.
SLEEP = 1.0
# How many rows are taken and sent at a time.
BATCH = 100
# Seconds until what a full channel has refused is tried again.
FULL_PAUSE = 1.0
# Rows that others are just taking look as if they waited.
_CONTENDED_PAUSE = 0.05
# What waits on the channel is stored before a stop for this time at most, in seconds: there may always be more of it.
_DRAIN_TIMEOUT = 5.0
# Of outages of the channel layer, which this worker may share with others in its process.
_KIND = "delayed messages"
_UNCERTAIN = "The channel layer failed while this message was sent, so it may have been sent or not: {}"
_STORED_OR_NOT = (
    "The connection to the database broke while this message was stored, and it was due before there was another one, "
    "so it may have been sent or not. To have it sent, set the state to 'waiting'."
)


class DelayWorker:
    """
    Stores the delayed messages of a layer, and sends those that are due. Several may share a table.

    At least every ``sleep`` seconds it looks into the table.
    """

    def __init__(self, channel_layer: ChannelLayerWrapper, sleep: float = SLEEP) -> None:
        self._alias = channel_layer.alias
        self._layer = channel_layer.channel_layer
        self._sleep = sleep
        self._database = router.db_for_write(DelayedMessage)
        self._rows = DelayedMessageQuerySet(DelayedMessage, using=self._database).filter(layer=self._alias)
        self._outage = Outage(f"the database {self._database!r} for delayed messages")
        # Taken from the channel, and not yet in the table.
        self._unstored: DelayedMessage | None = None
        # Whether that has been tried; and whether nobody can say what has come of it.
        self._was_tried = self._may_be_stored = False
        # What the table is still to be told of rows that have been taken.
        self._untold: list[Callable[[], object]] = []
        # Full channels, and when each is tried again. Times are those of the monotonic clock.
        self._full: dict[str, float] = {}
        self._look_at = -math.inf
        self._look_for_abandoned_at = -math.inf
        # The channel of the message that is done, which the layer counts.
        self._finished = ""
        self._stop = threading.Event()

    def run(self) -> None:
        """Do so until ``stop``."""
        pauses = Pauses(0.05, 2.0)
        while not self._stop.is_set():
            if self._turn_guarded():
                pauses.begin_anew()
            else:
                self._stop.wait(pauses.next())
        self._leave()

    def stop(self) -> None:
        """Make ``run`` end, after what it is at and when it has stored what waits on the channel."""
        self._stop.set()
        self._layer.interrupt()

    def _turn_guarded(self) -> bool:
        try:
            self._turn()
        except Error as error:
            self._outage.goes_on(error)
            # Whatever is wrong with it, the next one may be better.
            connections[self._database].close()
            return False
        except Exception as error:
            self._layer.outage.goes_on(error, _KIND)
            return False
        return True

    def _turn(self) -> None:
        """Tell the table what it is to be told, send what is due, and wait for the next message or row."""
        self._settle()
        if time.monotonic() >= self._look_at:
            self._look()
        self._take(max(0.0, self._look_at - time.monotonic()))

    # From the channel into the table

    def _take(self, timeout: float) -> bool:
        finished, self._finished = self._finished, ""
        _, delivery = self._layer.send_and_take([], [CHANNEL], timeout, finished)
        self._layer.outage.is_over(_KIND)
        if delivery is None:
            return False
        self._finished = delivery.channel
        try:
            channel, content, seconds = read_delayed(delivery.content)
        except (TypeError, ValueError) as error:
            self._layer.statistics.count_dropped(CHANNEL, "malformed", str(error))
        else:
            row = DelayedMessage(channel_name=channel, content=to_text(content), layer=self._alias)
            row.delay = seconds * 1000
            row.taken_by = secrets.token_hex(16)
            self._unstored, self._was_tried, self._may_be_stored = row, False, False
        return True

    def _settle(self) -> None:
        while self._untold:
            self._untold[0]()
            del self._untold[0]
        if self._unstored is not None:
            self._store(self._unstored)
            self._unstored = None

    def _store(self, row: DelayedMessage) -> None:
        if not (self._was_tried and self._rows.filter(due_date=row.due_date, taken_by=row.taken_by).exists()):
            self._was_tried = True
            try:
                self._insert(row)
            except DataError:
                logger.exception("The database refuses a delayed message to %s, which is lost", row.channel_name)
                return
        logger.debug("Stored a message to %s, due at %s", row.channel_name, row.due_date)
        self._look_at = min(self._look_at, time.monotonic() + max(0.0, row.delay / 1000))

    def _insert(self, row: DelayedMessage) -> None:
        if self._may_be_stored and row.delay <= 0:
            # Others may have found it, sent it and deleted it.
            row.state, row.note = State.PARKED, _STORED_OR_NOT
            logger.error("A delayed message to %s is parked: %s", row.channel_name, row.note)
        connection = connections[self._database]
        connection.ensure_connection()
        try:
            row.save(using=self._database, force_insert=True)
        except Error:
            # A statement that is answered by an error has stored nothing.
            self._may_be_stored = self._may_be_stored or not connection.is_usable()
            raise

    # From the table to where they are sent

    def _look(self) -> None:
        """Send what is due, and say when to look again."""
        now = time.monotonic()
        if now >= self._look_for_abandoned_at:
            self._park_abandoned()
            self._look_for_abandoned_at = now + ABANDONED / 2
        shut = {channel: try_at for channel, try_at in self._full.items() if try_at > now}
        rows = self._rows.exclude(channel_name__in=[*shut])
        first = rows.filter(state=State.WAITING).order_by("due_date").values_list("due_date", flat=True).first()
        self._outage.is_over()
        seconds = self._sleep if first is None else (first - timezone.now()).total_seconds()
        if seconds <= 0:
            taken = rows.take_due(BATCH)
            self._send(taken)
            # There may be more.
            seconds = 0.0 if taken else _CONTENDED_PAUSE
        self._look_at = min(now + min(seconds, self._sleep), *shut.values(), math.inf)

    def _park_abandoned(self) -> None:
        if number := self._rows.park_abandoned():
            text = "%d delayed message(s) were taken by a process that was killed, and may have been sent or not; %s"
            logger.error(text, number, "they stay in the table, parked")

    def _send(self, rows: Sequence[DelayedMessage]) -> None:
        """Send rows that have been taken, and leave word of what the table is to be told."""
        sends = [(row, send) for row in rows if (send := self._prepare(row)) is not None]
        try:
            refused = {id(send) for send in self._layer.send_many([send for _, send in sends])} if sends else set()
        except Exception as error:
            if getattr(error, "uncertain", True):
                self._park([row for row, _ in sends], _UNCERTAIN.format(error))
            else:
                self._tell(self._rows.give_back, [row for row, _ in sends])
            raise
        self._tell(
            lambda left: self._rows.taken(left).delete(), [row for row, send in sends if id(send) not in refused]
        )
        self._tell(self._rows.give_back, [row for row, send in sends if id(send) in refused])
        self._note_room({row.channel_name: id(send) in refused for row, send in sends})
        self._settle()

    def _prepare(self, row: DelayedMessage) -> Send | None:
        try:
            return self._layer.prepare(row.channel_name, from_text(row.content))
        except Exception as error:
            # Whatever it is, it would be the same the next time.
            self._park([row], f"{type(error).__name__}: {error}")
            return None

    def _note_room(self, is_full: dict[str, bool]) -> None:
        """Take note of which channels were full at the end, and warn of those that were not before."""
        for channel in is_full:
            if not is_full[channel]:
                self._full.pop(channel, None)
                continue
            if channel not in self._full:
                logger.warning("Delayed messages are kept and tried again. %s", self._layer.describe_full(channel))
            self._full[channel] = time.monotonic() + FULL_PAUSE

    def _park(self, rows: Sequence[DelayedMessage], note: str) -> None:
        for row in rows:
            logger.error("The delayed message %s to %s is parked: %s", row.pk, row.channel_name, note)
        self._tell(self._rows.park, rows, note)

    def _tell(self, change: Callable[..., object], rows: Sequence[DelayedMessage], *arguments: str) -> None:
        if rows:
            self._untold.append(functools.partial(change, rows, *arguments))

    # The end

    def _leave(self) -> None:
        """Store what waits on the channel: there it would expire."""
        deadline = time.monotonic() + _DRAIN_TIMEOUT
        try:
            self._settle()
            while time.monotonic() < deadline and self._take(0.0):
                self._settle()
        except Exception as error:
            (self._outage if isinstance(error, Error) else self._layer.outage).hinders(
                error, "Not all delayed messages could be stored before the stop"
            )
        try:
            self._put_back()
            self._layer.give_back()
        except Exception as error:
            self._layer.outage.hinders(error, "A delayed message is lost with the stop of this process")
        connections[self._database].close()

    def _put_back(self) -> None:
        """Leave to others what could not be stored, and say that this worker has nothing more."""
        batch = []
        if (row := self._unstored) is not None and self._may_be_stored:
            advice = "The connection to the database broke while it was stored, and this process stops."
            self._layer.statistics.count_dropped(CHANNEL, "uncertain", advice)
        elif row is not None:
            message = delayed(row.channel_name, from_text(row.content), max(0.0, row.delay / 1000))
            batch.append(self._layer.prepare(CHANNEL, message))
        finished, self._finished = self._finished, ""
        refused, _ = self._layer.send_and_take(batch, (), 0.0, finished)
        if refused:
            self._layer.statistics.count_dropped(CHANNEL, "full", self._layer.describe_full(CHANNEL))
