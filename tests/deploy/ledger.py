"""
Clients that write down what they send and what they get.

Every frame carries its sender and a number. At the end, what each member of a room got is compared with what was sent
to the room: what is missing, what came twice, and what came out of its sender's order.
"""

import asyncio
import collections
import json

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed


class Ledger:
    """Sockets in rooms, ``per_room`` in each."""

    def __init__(self, port, rooms, per_room, path="/rooms/room%d/"):
        self._address = f"ws://127.0.0.1:{port}{path}"
        self._rooms = rooms
        self._per_room = per_room
        self.sent = collections.defaultdict(list)
        self.received = collections.defaultdict(list)
        self.versions = set()
        self.closed = []
        self._numbers = collections.Counter()
        self.sockets = {}
        self._listeners = []

    async def open(self):
        """Open all sockets, a few at a time."""
        names = [(room, number) for room in range(self._rooms) for number in range(self._per_room)]
        for start in range(0, len(names), 20):
            await asyncio.gather(*(self._open(*name) for name in names[start : start + 20]))

    async def _open(self, room, number):
        socket = await connect(self._address % room, compression=None, proxy=None, open_timeout=30)
        self.sockets[room, number] = socket
        self._listeners.append(asyncio.create_task(self._listen(room, number, socket)))

    async def _listen(self, room, number, socket):
        try:
            async for text in socket:
                frame = json.loads(text)
                self.versions.add(frame["version"])
                self.received[room, number].append((frame["from"], frame["number"]))
        except ConnectionClosed as closed:
            self.closed.append((room, number, closed.rcvd and closed.rcvd.code))

    async def send_steadily(self, per_second, stop, at_once=1):
        """Let the sockets speak in turn until ``stop`` is set, each some messages ``at_once``."""
        names, numbers = list(self.sockets), self._numbers
        loop = asyncio.get_running_loop()
        start, count = loop.time(), 0
        while not stop.is_set():
            name = names[count // at_once % len(names)]
            for _ in range(at_once):
                frame = {"from": name[1], "number": numbers[name]}
                numbers[name] += 1
                count += 1
                await self._speak(name, frame)
            await asyncio.sleep(max(0, start + count / per_second - loop.time()))

    async def _speak(self, name, frame):
        try:
            await self.sockets[name].send(json.dumps(frame))
        except ConnectionClosed:
            return
        self.sent[name[0]].append((frame["from"], frame["number"]))

    async def settle(self, patience=20):
        """Wait until everything that was sent has come, or nothing more comes."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience
        while self.count_missing() and loop.time() < deadline:
            await asyncio.sleep(0.1)

    async def close(self):
        for socket in self.sockets.values():
            await socket.close()
        await asyncio.gather(*self._listeners)

    def forget_what_was_sent(self):
        """Miss nothing that was sent up to now."""
        self.sent.clear()

    def count_missing(self):
        """Count the deliveries that have not come."""
        return sum(len(set(self.sent[room]) - set(self.received[room, number])) for room, number in self.sockets)

    def heard(self):
        """Return the messages that anybody has got, as room, sender and number."""
        return {(room, *message) for (room, _), messages in self.received.items() for message in messages}

    def senders_with_missing(self):
        """Return the sockets, as room and number, of whose messages somebody has missed one."""
        return {
            (room, sender)
            for room, number in self.sockets
            for sender, _ in set(self.sent[room]) - set(self.received[room, number])
        }

    def count_repeated(self):
        return sum(len(got) - len(set(got)) for got in self.received.values())

    def count_disordered(self):
        """Count the deliveries that came before an earlier one of the same sender."""
        disordered = 0
        for got in self.received.values():
            latest = {}
            for sender, number in got:
                disordered += number < latest.get(sender, -1)
                latest[sender] = max(number, latest.get(sender, -1))
        return disordered
