"""Broadcasts: one member of a room sends, every member must receive."""

import asyncio
import os
import statistics

from .connections import Client, now_ns
from .latencies import percentiles

# A message that some members lack after this time was not delivered to them; the next one goes out.
_ROOM_TIMEOUT_NS = 4_000_000_000
# How many broadcasts the broker's commands are counted for, and how often.
_SERIES_LENGTH, _SERIES = 8, 12
# How long to wait for a burst: for the next delivery, and in all.
_PAUSE_LIMIT_NS, _DRAIN_LIMIT_NS = 3_000_000_000, 30_000_000_000


class Room:
    """Knows how many members have received the room's current message."""

    def __init__(self, run, name, size):
        self.run = run
        self.url = run.arguments.url.replace("{room}", name)
        self.size = size
        self.members = [Member(run, self) for _ in range(size)]
        self.expected = None
        self.sent_at = 0
        self.count = 0
        self.deliveries = 0
        self.complete = self.send_next

    def send_next(self):
        self.expected = self.run.message()
        self.count = 0
        self.sent_at = now_ns()
        self.members[0].send(self.expected)

    def received(self, data):
        if data != self.expected:
            self.run.late += 1
            return
        self.deliveries += 1
        self.count += 1
        if self.count == self.size:
            self.run.latencies.append(now_ns() - self.sent_at)
            self.complete()


class Member(Client):
    """One socket in a room."""

    def __init__(self, run, room):
        super().__init__(run)
        self.room = room

    def on_text(self, data):
        self.room.received(data)


async def _open_rooms(run):
    # No name that an earlier run may have left members in.
    names = [f"r{os.getpid()}x{number}" for number in range(run.arguments.rooms)]
    rooms = [Room(run, name, run.arguments.members) for name in names]
    await run.connect_all((member, room.url) for room in rooms for member in room.members)
    await asyncio.sleep(0.5)
    return rooms


async def broadcast(run):
    """Closed loop: the next message goes out when all members have this one."""
    measured = await speak(run, await _open_rooms(run))
    await run.close_all()
    return measured


async def speak(run, rooms):
    """Let the first member of each room speak whenever all have its last message, and return what was measured."""
    abandoned = missing = 0
    for room in rooms:
        room.send_next()
    await asyncio.sleep(run.arguments.warmup)

    window = run.window()
    before = sum(room.deliveries for room in rooms)
    end = now_ns() + run.arguments.duration * 1_000_000_000
    while (now := now_ns()) < end:
        for room in rooms:
            if now - room.sent_at > _ROOM_TIMEOUT_NS:
                missing += room.size - room.count
                abandoned += 1
                room.send_next()
        await asyncio.sleep(min(0.1, (end - now) / 1e9))
    measured, latencies = window.stop(), run.latencies
    delivered = sum(room.deliveries for room in rooms) - before
    return {
        "ops": delivered,
        "broadcasts": len(latencies) + abandoned,
        "missing": missing,
        "late": run.late,
        "dropped": run.dropped,
        **measured,
        **percentiles(latencies),
    }


async def broker(run):
    """
    Count the commands of Redis for a broadcast: the median of a few short series.

    Between them lie the seconds in which memberships are renewed, which has nothing to do with broadcasts.
    """
    [room] = await _open_rooms(run)
    counts = []
    window = run.window()
    for _ in range(_SERIES):
        before = run.redis_calls()
        for _ in range(_SERIES_LENGTH):
            await _broadcast_once(room)
        counts.append((run.redis_calls() - before) / _SERIES_LENGTH)
    measured = window.stop()
    await run.close_all()
    delivered = _SERIES * _SERIES_LENGTH * room.size
    return {"ops": delivered, "redis_calls_per_broadcast": statistics.median(counts), "counts": counts, **measured}


async def _broadcast_once(room):
    done = asyncio.get_running_loop().create_future()
    room.complete = lambda: done.set_result(None)
    room.send_next()
    await asyncio.wait_for(done, _ROOM_TIMEOUT_NS / 1e9)


async def burst(run):
    """One member sends all its messages at once: what is dropped?"""
    [room] = await _open_rooms(run)
    messages = [run.message() for _ in range(run.arguments.count)]
    counts = dict.fromkeys(messages, 0)
    window, start, last_seen = run.window(), now_ns(), 0

    def received(data):
        nonlocal last_seen
        last_seen = now_ns()
        counts[data] += 1

    room.received = received
    wanted = len(messages) * room.size
    for data in messages:
        room.members[0].send(data)
    limit = start + _DRAIN_LIMIT_NS
    while sum(counts.values()) < wanted and now_ns() < min(limit, max(last_seen, start) + _PAUSE_LIMIT_NS):
        await asyncio.sleep(0.02)
    measured, delivered = window.stop(), sum(counts.values())
    await run.close_all()
    return {
        "ops": delivered,
        "wanted": wanted,
        "missing": wanted - delivered,
        "untouched": sum(count == 0 for count in counts.values()),
        "dropped": run.dropped,
        **measured,
        "seconds": max(last_seen - start, 1) / 1e9,
    }
