"""
What an interface process knows of the workers: what they say themselves.

Each worker process says every few seconds which channels it reads, to a group that every interface process is in. So it
is the same on all layers, no store is asked for it, and whoever hears of a worker hears its answers too.
"""

from __future__ import annotations

import asyncio

from ..layers.base import BaseChannelLayer, Content, Finish, Send
from .connection import Connection

# The group of all interface processes, and each one's place in it.
GROUP = "channels.interface-processes"
PLACE = "workers"
# A worker that has said nothing for so long, in seconds, is not there; it says something every two.
LATELY = 8.0
# Messages wait for workers that are being restarted, for so many seconds. Then new ones are refused.
RESTART = 15.0


class Workers(Connection):
    """The workers behind the layer of one interface process."""

    def __init__(self, layer: BaseChannelLayer) -> None:
        self.reply_channel = ""
        self.will_is_old = False
        self._layer = layer
        # Since when whatever workers say could be heard here.
        self._listens_since = layer.clock()
        # When somebody last said that it reads a channel.
        self._heard: dict[str, float] = {}
        # When this process was seen to run last.
        self._ran_at = layer.clock()

    def broadcast(self, content: Content) -> None:
        """Take note of what a worker says."""
        now = self._layer.clock()
        self._heard.update((channel, now) for channel in content.get("reads", ()))

    def hear_nothing(self) -> None:
        """Be told that nothing can come from the layer: that no worker is heard says nothing now."""
        self._listens_since = self._layer.clock()

    async def keep(self) -> None:
        """Notice, for ever, when this process itself was stopped: it has heard nobody meanwhile."""
        while True:
            self._note_that_it_runs()
            await asyncio.sleep(LATELY / 4)

    def _note_that_it_runs(self) -> None:
        now = self._layer.clock()
        if now - self._ran_at > LATELY:
            self._listens_since = now
        self._ran_at = now

    def trouble(self, channel: str) -> str:
        """Say in a sentence why a message on a channel may find no worker; nothing if there is one."""
        if self._layer.outage.lasts("reads") or self._layer.outage.lasts("lease"):
            return "The channel layer does not answer."
        since = self._heard.get(channel)
        if since is None:
            found = f"No worker that reads {channel} has been heard of yet"
        elif (silence := self._layer.clock() - since) > LATELY:
            found = f"No worker that reads {channel} has been heard of for {silence:.0f} s"
        else:
            return ""
        start = "manage.py runworker" if self._layer.spans_processes else "get_channel_layer(worker_threads=4)"
        return f"{found}: start one with '{start}'."

    def are_gone(self, channel: str) -> bool:
        """Say whether nobody has read a channel for longer than a restart of workers takes."""
        # A request may have its turn before ``keep`` has.
        self._note_that_it_runs()
        return self._layer.clock() - max(self._listens_since, self._heard.get(channel, 0.0)) > RESTART

    # It is one of the connections for the sake of its group, and none that a client has.

    def reply(self, content: Content) -> None:
        """Take nothing."""

    def finished(self, finish: Finish) -> None:
        """Take nothing."""

    def take_will(self, again: bool) -> Send | None:
        """Leave none."""
        return None

    def write_off(self) -> None:
        """Do nothing."""

    def end_grace(self) -> None:
        """Do nothing."""
