"""Echoes: as many as possible, and few at a fixed rate."""

import asyncio

from .connections import Client, now_ns
from .latencies import percentiles

_LOST_AFTER_NS = 5_000_000_000
# How long echoes may take after the last message, in seconds.
_PATIENCE = 1


class EchoClient(Client):
    """Sends, waits for the echo, sends again."""

    expected = None
    sent_at = 0

    def send_next(self):
        self.expected = self.run.message()
        self.sent_at = now_ns()
        self.send(self.expected)

    def on_text(self, data):
        if data == self.expected:
            self.run.latencies.append(now_ns() - self.sent_at)
            self.send_next()
        else:
            self.run.late += 1


async def echo(run):
    """Closed loop: every socket sends its next message when it has the echo of the last one."""
    lost = 0
    await run.connect_all((EchoClient(run), run.arguments.url) for _ in range(run.arguments.connections))
    for client in run.clients:
        client.send_next()
    await asyncio.sleep(run.arguments.warmup)

    window = run.window()
    end = now_ns() + run.arguments.duration * 1_000_000_000
    while (now := now_ns()) < end:
        for client in run.clients:
            if client.open and now - client.sent_at > _LOST_AFTER_NS:
                lost += 1
                client.send_next()
        await asyncio.sleep(min(0.5, (end - now) / 1e9))
    measured, latencies = window.stop(), run.latencies
    await run.close_all()
    return {
        "ops": len(latencies),
        "lost": lost,
        "late": run.late,
        "dropped": run.dropped,
        **measured,
        **percentiles(latencies),
    }


class PacedClient(Client):
    """Sends when told to, and knows when it sent what."""

    def __init__(self, run):
        super().__init__(run)
        self.waiting = {}

    def send_next(self):
        data = self.run.message()
        self.waiting[data] = now_ns()
        self.send(data)

    def on_text(self, data):
        sent_at = self.waiting.pop(data, None)
        if sent_at is None:
            self.run.late += 1
        else:
            self.run.latencies.append(now_ns() - sent_at)


async def paced(run):
    """Open loop: every socket sends at a fixed rate, each at its own moment."""
    loop = asyncio.get_running_loop()
    interval, count = 1 / run.arguments.rate, run.arguments.connections
    await run.connect_all((PacedClient(run), run.arguments.url) for _ in range(count))
    messages = round((run.arguments.warmup + run.arguments.duration) * run.arguments.rate)
    warmup = round(run.arguments.warmup * run.arguments.rate)

    async def drive(client, offset):
        begin = loop.time() + offset
        for number in range(messages):
            await asyncio.sleep(begin + number * interval - loop.time())
            if number == warmup:
                client.waiting.clear()
            client.send_next()

    offsets = (interval * number / count for number in range(count))
    drivers = [asyncio.ensure_future(drive(*pair)) for pair in zip(run.clients, offsets, strict=True)]
    await asyncio.sleep(run.arguments.warmup)
    window = run.window()
    await asyncio.gather(*drivers)
    measured = window.stop()
    await asyncio.sleep(_PATIENCE)
    lost, latencies = sum(len(client.waiting) for client in run.clients), run.latencies
    await run.close_all()
    return {"ops": len(latencies), "lost": lost, "dropped": run.dropped, **measured, **percentiles(latencies)}
