"""
A channel layer without a site: one process that sends, and one that reads.

    python -m benchmarks.layer LAYER read
    python -m benchmarks.layer LAYER round_trip --roles '{"redis": [7], "reader": [8]}'

``LAYER`` is the URL of a layer, or the dotted path of a class or function that makes one and takes the arguments of
every layer. Nothing is asked of it but what `channels.layers.base` promises.
"""

import argparse
import asyncio
import json
import os
import sys
import threading
import time

from channels.layers import from_url
from channels.routing import import_target

from .load.latencies import percentiles
from .procstat import CpuWindow

# Only `send` and `receive` let so many messages wait, so that neither has to wait for the other.
CAPACITY = 20_000
_PINGS, _JOBS, _ROOM, _QUEUE = "bench.pings", "bench.jobs", "bench.room", "reply.bench!"
_TEXT = "x" * 64
# So many broadcasts are sent before the reader is asked whether it has them.
_SERIES = 20
# The reader may still be starting, in seconds.
_PATIENCE = 20
# The same clock in all processes.
now_ns = time.monotonic_ns


def make_layer(where):
    """Return the layer of a URL, or of a dotted path."""
    if "://" not in where:
        return import_target(where)(capacity=CAPACITY)
    made = from_url(where)
    return import_target(made["BACKEND"])(**made["CONFIG"], capacity=CAPACITY)


# The reader


def read(layer):
    """Be a worker and an interface server, as long as the process lives."""
    threading.Thread(target=lambda: asyncio.run(_read_queue(layer)), daemon=True).start()
    answers, finished = [], ""
    while True:
        _, delivery = layer.send_and_take(answers, [_PINGS], 10, finished)
        answers = [_answer(layer, delivery.content)] if delivery else []
        finished = delivery.channel if delivery else ""


async def _read_queue(layer):
    lease = asyncio.ensure_future(_keep_lease(layer))
    while not lease.done():
        for entry in await layer.read_queue(_QUEUE):
            if entry.content is not None and "reply_channel" in entry.content:
                await layer.send_many_async([_answer(layer, entry.content)])
    lease.result()


async def _keep_lease(layer):
    while True:
        await layer.renew_lease(_QUEUE)
        await layer.tend()
        await asyncio.sleep(layer.lease_interval or 10)


def _answer(layer, content):
    return layer.prepare(content["reply_channel"], {"received": now_ns()})


# The sender


class Sender:
    """What the workloads share."""

    def __init__(self, layer, arguments):
        self.layer = layer
        self.arguments = arguments
        self._answers = layer.new_channel("bench.answers?")

    def ask(self, send, name, patience=5):
        """Send a message to which the reader answers, and return when that was sent, was there, and was answered."""
        sent = now_ns()
        send(name, {"reply_channel": self._answers, "text": _TEXT})
        deadline = time.monotonic() + patience
        while (left := deadline - time.monotonic()) > 0:
            _, message = self.layer.receive([self._answers], block=True, timeout=left)
            if message is not None:
                return sent, message["received"], now_ns()
        sys.exit(f"The reader has not answered within {patience} seconds.")

    def measure_with_reader(self, step, send, name):
        """Do so when the reader answers to what is sent like this, and both have worked for a while."""
        self.ask(send, name, _PATIENCE)
        self.measure(step, self.arguments.warmup)
        return self.measure(step, self.arguments.duration)

    def measure(self, step, seconds):
        """Repeat a step, which returns a number of operations and latencies, and return what was measured."""
        ops, latencies = 0, []
        cpu = CpuWindow({**self.arguments.roles, "sender": [os.getpid()]}, lambda: 0.0)
        start = now_ns()
        end = start + seconds * 1e9
        while now_ns() < end:
            done, took = step()
            if not done:
                break
            ops += done
            latencies += took
        return {"seconds": (now_ns() - start) / 1e9, "ops": ops, **cpu.stop(), **percentiles(latencies)}


def send(sender):
    """Send messages that nobody takes, until there is no more room."""
    left = iter(range(CAPACITY))

    def step():
        if next(left, None) is None:
            return 0, []
        start = now_ns()
        sender.layer.send(_JOBS, {"text": _TEXT})
        return 1, [now_ns() - start]

    return sender.measure(step, sender.arguments.duration)


def receive(sender):
    """Take messages that wait."""
    layer = sender.layer
    for _ in range(CAPACITY // 100):
        layer.send_many([layer.prepare(_JOBS, {"text": _TEXT}) for _ in range(100)])
    left = iter(range(CAPACITY))

    def step():
        if next(left, None) is None:
            return 0, []
        start = now_ns()
        if layer.receive([_JOBS], block=True, timeout=5)[1] is None:
            sys.exit("A message that was sent has not come.")
        return 1, [now_ns() - start]

    return sender.measure(step, sender.arguments.duration)


def round_trip(sender):
    """Ask the reader, and ask again when it has answered."""

    def step():
        sent, _, answered = sender.ask(sender.layer.send, _PINGS)
        return 1, [answered - sent]

    return sender.measure_with_reader(step, sender.layer.send, _PINGS)


def wake_up(sender):
    """Ask the reader when it has slept for a while; a latency ends when the reader has the message."""

    def step():
        time.sleep(1 / sender.arguments.rate)
        sent, received, _ = sender.ask(sender.layer.send, _PINGS)
        return 1, [received - sent]

    return sender.measure_with_reader(step, sender.layer.send, _PINGS)


def broadcasts(sender):
    """Send to a group whose members are sockets of the reader, and wait for the last of each series."""
    layer = sender.layer

    def step():
        for _ in range(_SERIES - 1):
            layer.send_group(_ROOM, {"text": _TEXT})
        sender.ask(layer.send_group, _ROOM)
        return _SERIES, []

    for number in range(sender.arguments.members):
        layer.group_add(_ROOM, f"{_QUEUE}{number}")
    return sender.measure_with_reader(step, layer.send_group, _ROOM)


WORKLOADS = {workload.__name__: workload for workload in (send, receive, round_trip, wake_up, broadcasts)}


def main():
    parser = argparse.ArgumentParser(
        prog="benchmarks.layer", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("layer")
    parser.add_argument("workload", choices=["read", *WORKLOADS])
    parser.add_argument("--roles", type=json.loads, default={}, help="ids of other processes by role, as JSON")
    parser.add_argument("--duration", type=float, default=3, help="seconds that are measured")
    parser.add_argument("--warmup", type=float, default=1, help="seconds before")
    parser.add_argument("--rate", type=float, default=50, help="messages per second")
    parser.add_argument("--members", type=int, default=1000)
    arguments = parser.parse_args()

    layer = make_layer(arguments.layer)
    if arguments.workload == "read":
        read(layer)
    if not layer.spans_processes:
        threading.Thread(target=read, args=[layer], daemon=True).start()
    print("RESULT " + json.dumps(WORKLOADS[arguments.workload](Sender(layer, arguments))), flush=True)


if __name__ == "__main__":
    main()
