"""
Send what consumers have sent, without standing still for a channel that is full.

What a full channel refuses, or a layer that is not there, is kept and tried again between the messages that the thread
goes on to handle. It stays in front of what comes later for the same channel.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from ..exceptions import ChannelLayerUnavailable
from ..layers.base import BaseChannelLayer, Delivery, Finish, Send, UnderWay
from ..layers.sends import HeldSends
from ..values.pauses import Pauses

logger = logging.getLogger(__name__)

# How long the sends of a finished consumer wait for room in full channels, in seconds.
FULL_TIMEOUT = 2.0
# With more sends than this that wait, a thread takes no new message: its consumers send faster than anybody reads.
MOST_WAITING = 1000
_UNAVAILABLE = "the layer is not available"


class Outgoing:
    """
    The sends of one thread that have not left yet, in their order; ``layer`` is the one that the thread reads.

    What has been refused for ``FULL_TIMEOUT`` seconds is logged and counted.
    """

    def __init__(self, layer: BaseChannelLayer) -> None:
        self._layer = layer
        self._own = _Outbox(layer)
        self._others: dict[BaseChannelLayer, _Outbox] = {}

    def take(self, held: HeldSends) -> None:
        """
        Take what a consumer has sent, and what its connection is to be told.

        It leaves with the next visit, and at once if it is for another layer.
        """
        for layer, batch in held.take():
            if layer is self._layer:
                self._own.new += batch
            else:
                outbox = self._others.setdefault(layer, _Outbox(layer))
                outbox.new += batch
                outbox.send()
        if held.origin is not None and (finish := held.origin.finish()):
            self._own.add_finish(held.origin.reply_channel, finish)

    @property
    def has_new(self) -> bool:
        """Whether anything that has never been tried is to leave with the next visit."""
        return bool(self._own.new)

    @property
    def untold(self) -> list[UnderWay]:
        """The messages that are done while their connections could not be told so yet; for any thread."""
        return self._own.untold

    def limited(self, timeout: float) -> float:
        """Return for how long to wait for a message, ``timeout`` at most: until something should be tried again."""
        return min([timeout, *(outbox.pause for outbox in self._outboxes() if outbox.waiting)])

    def visit(self, channels: Sequence[str], timeout: float, finished: str) -> Delivery | None:
        """
        Do a worker's turn at the layer, whose ``send_and_take`` says what that is; return what has been received.

        It waits for that no longer than until something should be tried again. Where far too much waits, that is seen
        to first.
        """
        own = self._own
        if own.waiting or self._others:
            timeout = self.limited(timeout)
            self._tend()
        batch = own.take_due()
        try:
            refused, delivery = self._layer.send_and_take(batch, channels, timeout, finished)
        except Exception as error:
            own.fail(batch, error)
            raise
        if refused or own.waiting or own.untold:
            own.keep(refused, "full")
        return delivery

    def _tend(self) -> None:
        for outbox in self._others.values():
            outbox.send()
        if any(len(outbox.waiting) > MOST_WAITING for outbox in self._outboxes()):
            self.settle()

    def settle(self) -> None:
        """Send everything, and wait for room as long as that may take."""
        for outbox in self._outboxes():
            outbox.settle()

    def _outboxes(self) -> list[_Outbox]:
        return [self._own, *self._others.values()]


class _Outbox:
    """
    The sends of one thread to one layer.

    ``new`` ones have not been tried yet. Those that are ``waiting`` have, or stand behind one that has; they are tried
    again at ``try_at``, and each is given up at a time of its own. Times are those of the layer's clock. What tells a
    connection that its message is done is never given up: its lane does not mind being told twice, and would otherwise
    stand still. (What a message without a place in a lane has changed in the session may so be set once more.)
    """

    def __init__(self, layer: BaseChannelLayer) -> None:
        self._layer = layer
        self.new: list[Send] = []
        self.waiting: list[tuple[float, Send]] = []
        # Of these, what has been done without a word to its connection; also while that is being tried again.
        self.untold: list[UnderWay] = []
        self.try_at = 0.0
        self._pauses = Pauses(0.01, 0.2)
        # Why something waits.
        self._reason = ""
        # When those that have waited are given up, by their ids, while they are being tried.
        self._tried: dict[int, float] = {}

    @property
    def pause(self) -> float:
        """For how many seconds nothing is to be tried again."""
        return max(0.0, self.try_at - self._layer.clock())

    def add_finish(self, reply_channel: str, finish: Finish) -> None:
        """Have a connection told, along with the last of what it is sent."""
        new = self.new
        for number in range(len(new) - 1, -1, -1):
            send = new[number]
            if send.name == reply_channel and not send.to_group:
                new[number] = Send(reply_channel, send.content, finish=finish)
                return
        new.append(Send(reply_channel, None, finish=finish))

    def send(self) -> None:
        if batch := self.take_due():
            try:
                refused = self._layer.send_many(batch)
            except Exception as error:
                self.fail(batch, error)
            else:
                self.keep(refused, "full")

    def settle(self) -> None:
        self.send()
        deadline = self._layer.clock() + FULL_TIMEOUT
        while self.waiting and (now := self._layer.clock()) < deadline:
            # A last time at the very end: what has not left by then is given up.
            self.try_at = min(self.try_at, deadline)
            time.sleep(max(0.0, self.try_at - now))
            self.send()

    def take_due(self) -> list[Send]:
        """Return what is to be tried now: nothing for a channel for which something else waits longer."""
        new, self.new, self._tried = self.new, [], {}
        if not self.waiting:
            return new
        now = self._layer.clock()
        self._give_up_late(now)
        # A group may have any channel as its member.
        if now >= self.try_at or any(send.to_group for send in new):
            self._tried = {id(send): give_up_at for give_up_at, send in self.waiting}
            batch, self.waiting = [*(send for _, send in self.waiting), *new], []
            return batch
        names = {send.name for _, send in self.waiting}
        self.waiting += [(now + FULL_TIMEOUT, send) for send in new if send.name in names]
        return [send for send in new if send.name not in names]

    def keep(self, refused: Sequence[Send], reason: str) -> None:
        """Let wait what has not left; count what has waited long enough."""
        now, self._reason = self._layer.clock(), reason
        if not self.waiting:
            if not self._tried:
                self._pauses.begin_anew()
            self.try_at = now + self._pauses.next()
        for send in refused:
            give_up_at = self._tried.get(id(send), now + FULL_TIMEOUT)
            if now >= give_up_at:
                self._count_given_up(send, reason)
                self.waiting += [(give_up_at, left) for left in send.of_finish_alone()]
            else:
                self.waiting.append((give_up_at, send))
        self.untold = [
            UnderWay(send.name, send.name, send.finish.number)
            for _, send in self.waiting
            if send.finish is not None and send.finish.number is not None
        ]

    def _give_up_late(self, now: float) -> None:
        """Give up what was put back and has waited so long that its connection may have gone on without it."""
        waiting, self.waiting = self.waiting, []
        for give_up_at, send in waiting:
            if now >= give_up_at and _is_put_back(send):
                self._count_given_up(send, self._reason)
            else:
                self.waiting.append((give_up_at, send))

    def _count_given_up(self, send: Send, reason: str) -> None:
        if send.content is not None:
            advice = self._layer.describe_full(send.name) if reason == "full" else ""
            self._layer.statistics.count_dropped(send.name, reason, advice)

    def fail(self, batch: list[Send], error: Exception) -> None:
        """
        Let wait what may be sent again after a failure: all of it, or only what tells a connection.

        What may have been sent all the same is counted; what a failure that nobody expects has taken along is logged.
        """
        if isinstance(error, ChannelLayerUnavailable):
            if not error.uncertain:
                self.keep(batch, _UNAVAILABLE)
                return
            advice = f"The connection broke while it was sent: {error}"
            for send in batch:
                if send.content is not None:
                    self._layer.statistics.count_dropped(send.name, "uncertain", advice)
        elif batch:
            logger.exception("The channel layer failed, and %d message(s) of a consumer are lost", len(batch))
        self.keep([left for send in batch for left in send.of_finish_alone()], _UNAVAILABLE)


def _is_put_back(send: Send) -> bool:
    """Say whether this is a message of a socket's lane once more."""
    return send.ticket is not None and send.ticket.number is not None
