"""What a worker knows of the connection that a message has come from, and what it tells that at the end."""

from __future__ import annotations

from typing import Any

from .base import BaseChannelLayer, Finish, Ticket
from .content import is_same

_MISSING = object()


class Origin:
    """
    The connection behind a message with a ticket; all copies of the message share it.

    ``session`` holds the values of the channel session as its consumers have saved them; they are replaced, and never
    changed. ``channel_session`` is what a consumer is given for them, once it has asked. ``keeps_order`` and
    ``comes_again`` are those of ``Finish``.
    """

    __slots__ = ("channel_session", "comes_again", "keeps_order", "layer", "reply_channel", "session", "ticket")

    def __init__(self, layer: BaseChannelLayer, reply_channel: str, ticket: Ticket) -> None:
        self.layer = layer
        self.reply_channel = reply_channel
        self.ticket = ticket
        self.session = ticket.session
        self.channel_session: Any = None
        self.keeps_order = self.comes_again = False

    def ticket_again(self) -> Ticket:
        """Return the ticket of this message when it is put back."""
        return Ticket(self.ticket.number, self.session)

    def finish(self) -> Finish | None:
        """Return what the connection is to be told, None if it does not wait for anything."""
        before, after, number = self.ticket.session, self.session, self.ticket.number
        if after is before:
            return None if number is None else Finish(number, {}, (), self.keeps_order, self.comes_again)
        changed = {key: value for key, value in after.items() if not is_same(before.get(key, _MISSING), value)}
        return Finish(number, changed, [*(before.keys() - after.keys())], self.keeps_order, self.comes_again)
