"""Visitors of a site that keep a ledger, and go on when their sockets are closed."""

import asyncio
import contextlib
import time

from websockets.exceptions import ConnectionClosed

from tests.deploy.ledger import Ledger


class Visitors(Ledger):
    """Sockets in rooms, on one of the paths of the scorecard's site: ``plain``, ``working`` or ``rooms``."""

    def __init__(self, port, rooms, per_room, path="plain"):
        super().__init__(port, rooms, per_room)
        self._address = f"ws://127.0.0.1:{port}/{path}/room%d/"
        self.seconds = 0.0
        # The sockets that were closed before we closed them.
        self.dropped = []

    async def visit(self, per_second, meanwhile):
        """Speak while ``meanwhile`` runs in a thread of its own, then wait for what is still to come, and leave."""
        await self.open()
        stop, started = asyncio.Event(), time.monotonic()
        speaking = asyncio.create_task(self.send_steadily(per_second, stop))
        try:
            await asyncio.to_thread(meanwhile)
        finally:
            stop.set()
            await speaking
        self.seconds = time.monotonic() - started
        await self.settle()
        self.dropped = list(self.closed)
        await self.close()

    async def _speak(self, name, frame):
        with contextlib.suppress(ConnectionClosed):
            await super()._speak(name, frame)

    def groups(self):
        """Return the names of the groups that the rooms are."""
        return [f"room{number}" for number in range(self._rooms)]

    @property
    def rate(self):
        """How many messages left per second."""
        return self.count_sent() / self.seconds if self.seconds else 0.0

    def count_sent(self):
        """Count the messages that were sent."""
        return sum(map(len, self.sent.values()))

    def count_lost(self):
        """
        Count the messages that have not reached every member of their room whose socket stayed open.

        Where none did, those that nobody has got.
        """
        return sum(len(lost) for lost in self._lost().values())

    def count_lost_by_closed(self, code):
        """Count the lost messages of those whose socket was closed with a code."""
        closed = {(room, number) for room, number, of_close in self.dropped if of_close == code}
        return sum((room, sender) in closed for room, lost in self._lost().items() for sender, _ in lost)

    def _lost(self):
        """Return the lost messages by room."""
        return {room: set(sent) - self._reached(room) for room, sent in self.sent.items()}

    def _reached(self, room):
        members = {(room, number) for number in range(self._per_room)}
        # A socket that is closed is counted as that, and what it did not hear any more is no loss besides.
        stayed = members - {(room, number) for room, number, _ in self.dropped}
        got = [set(self.received[member]) for member in stayed or members]
        return set.intersection(*got) if stayed else set.union(*got)

    def figures(self):
        """Return what the ledger says."""
        return {
            "sockets": len(self.sockets),
            "sent": self.count_sent(),
            "per_second": round(self.rate, 1),
            "lost": self.count_lost(),
            "repeated": self.count_repeated(),
            "disordered": self.count_disordered(),
            "dropped_sockets": len(self.dropped),
        }
