"""S-06: what the ledgers miss has to be what the channel layer says it has dropped."""

import collections
from dataclasses import asdict, dataclass

# What a layer counts on the queues to which groups lead, and for nothing but group messages.
FULL_QUEUE = "full, group message"


@dataclass(frozen=True)
class Account:
    """
    The messages of one ledger: what its visitors sent and lost, and what of it the layer counted as dropped, by reason.

    ``unfinished`` messages were in the hands of workers that were killed, as the layer has counted them. ``told`` ones
    never came to the layer, and their senders' sockets were closed with 1013, so these know that something may be lost.
    """

    name: str
    sent: int
    lost: int
    dropped: dict[str, int]
    unfinished: int = 0
    told: int = 0

    @property
    def unexplained(self):
        """How many of the lost messages have no reason: nobody has counted them, nor told their sender."""
        return max(0, self.lost - self._counted - self.told)

    @property
    def surplus(self):
        """How many messages were counted that nobody has lost: they would hide others that were."""
        return max(0, self._counted - self.lost)

    @property
    def _counted(self):
        return sum(self.dropped.values()) + self.unfinished


def drops_of(layer, channels):
    """
    Return what a layer has dropped of a ledger's messages, by reason.

    These are the drops on the ``channels`` and groups that the messages pass, and the group messages that a full queue
    has refused. What else is dropped, such as other channels' messages and replies, explains no loss.
    """
    drops = collections.Counter()
    for channel in channels:
        drops.update(layer.channel_statistics(channel)["dropped"])
    drops[FULL_QUEUE] += layer.global_statistics()["dropped"].get(FULL_QUEUE, 0)
    return dict(+drops)


def sum_up(session):
    """Add up the accounts of the rows that have run; None if there are none."""
    if not session.accounts:
        return None
    return figures(session.accounts)


def figures(accounts):
    """Return the sums over accounts."""
    return {
        "ledgers": len(accounts),
        "sent": sum(account.sent for account in accounts),
        "lost": sum(account.lost for account in accounts),
        "counted": sum(sum(account.dropped.values()) for account in accounts),
        "unfinished": sum(account.unfinished for account in accounts),
        "told": sum(account.told for account in accounts),
        "reasons": _reasons(accounts),
        "unexplained": sum(account.unexplained for account in accounts),
        "surplus": sum(account.surplus for account in accounts),
        "accounts": [asdict(account) for account in accounts],
    }


def _reasons(accounts):
    """Put into words why messages were lost, and how many for each reason."""
    reasons = sum((collections.Counter(account.dropped) for account in accounts), collections.Counter())
    reasons["unfinished by killed workers"] = sum(account.unfinished for account in accounts)
    reasons["told by 1013"] = sum(account.told for account in accounts)
    return ", ".join(f"{count} {reason}" for reason, count in (+reasons).items()) or "none"
