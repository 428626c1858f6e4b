"""
What runs inside the store, each script in one atomic step: it lies in ``lua``, in a file of its name.

Keys, below the layer's prefix:

    queue:<queue>            list of entries
    group:<group>            sorted set of the queues with members in it, by the time their membership lapses
    members:<group>:<queue>  sorted set of the local parts that are members, by the same time
    groups:<queue>           set of the groups with members behind a process queue
    joins:<queue>            with encryption: hash of membership, as group, blank, local part, to the sealed entry that
                             told the process of it
    left:<queue>             sorted set of memberships that have ended in the last minute, by the time when they did, as
                             group, blank, local part: their process may not know yet
    processes                sorted set of process queues by the time their lease ends
    wills:<queue>            hash of local part to the last will of an open connection: a channel, a line break,
                             and the entry that is pushed there when the process has died
    ended:<queue>            set for an hour when a process has ended, or was taken for dead: it never comes back
    changes:<queue>          how many entries of a process queue are no messages but change memberships, at most
    looked                   kept for a day: when somebody last looked for processes that have died
    capacity                 hash of queue to capacity, where it is not the default
    deaths                   sorted set of queues by the time when the oldest message in them dies, or earlier; those
                             of processes that have ended by the time when they are looked after
    workers                  sorted set of worker processes by the time their lease ends
    held                     hash of worker process to what it was working on when it last said so
    counts:<channel>         hash of figure to count, by the part of the name that many channels share:
                             sent, done (its reader has finished with it), gone (has reached nobody), full,
                             dropped:<reason>, and last, the time when a reader last said that it had taken a message
    rate:<channel>:<second>  hash of the figures sent and full, for one second

A script says in its first line whether it runs in a store without memory (``allow-oom``): those do that free some, or
need as good as none. Every script gets the layer's ``head`` first, and what ``start`` makes of it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent / "lua"
_INCLUDE = re.compile(r"^ *-- include (.*)\n", re.MULTILINE)


class Script:
    """A script, sent by its digest; the store asks for the text when it does not know it."""

    def __init__(self, name: str) -> None:
        self.text = _read(name).encode()
        self.digest = hashlib.sha1(self.text, usedforsecurity=False).hexdigest()

    def by_digest(self, arguments: Sequence[Any]) -> tuple[Any, ...]:
        """Return the command that runs the script if the store knows it."""
        return ("EVALSHA", self.digest, 0, *arguments)

    def by_text(self, arguments: Sequence[Any]) -> tuple[Any, ...]:
        """Return the command that runs the script, and makes the store know it."""
        return ("EVAL", self.text, 0, *arguments)


def _read(name: str) -> str:
    """
    Return a file, with those in it that a line ``-- include start, counts`` names.

    What is shared are definitions, and a few steps that stand within a loop or a function: a call would cost more.
    """
    text = (_FOLDER / f"{name}.lua").read_text("utf-8")
    return _INCLUDE.sub(lambda line: "".join(map(_read, line[1].split(", "))), text)


SEND = Script("send")
PUT_BACK = Script("put_back")
SAVE_COUNTS = Script("save_counts")
FIGURES = Script("figures")
SWEEP = Script("sweep")

GROUP_ADD = Script("group_add")
GROUP_DISCARD = Script("group_discard")
GROUP_CHANNELS = Script("group_channels")
GROUP_RENEW = Script("group_renew")
MEMBERSHIPS = Script("memberships")

RENEW_LEASE = Script("renew_lease")
END_LEASE = Script("end_lease")
SET_WILLS = Script("set_wills")
COLLECT = Script("collect")
RENEW_WORKER = Script("renew_worker")
END_WORKER = Script("end_worker")
COLLECT_WORKER = Script("collect_worker")
UNDER_WAY = Script("under_way")
