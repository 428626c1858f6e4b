"""S-06: what the ledgers miss has to be what the channel layer says it has dropped."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Account:
    """
    The messages of one ledger: what its visitors sent and lost, and what the layer counted as dropped, by reason.

    ``unfinished`` messages were in the hands of workers that were killed, as the layer has counted them.
    """

    name: str
    sent: int
    lost: int
    dropped: dict[str, int]
    unfinished: int = 0

    @property
    def unexplained(self):
        """How many of the lost messages nobody has counted."""
        return max(0, self.lost - sum(self.dropped.values()) - self.unfinished)


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
        "unexplained": sum(account.unexplained for account in accounts),
        "accounts": [asdict(account) for account in accounts],
    }
