"""
Kill processes that send and read without a pause, at random moments, and see what is left of their messages.

    PYTHONPATH='{{cookiecutter.project_slug}}' python -m tests.engine.layers.ipc.killing FOLDER --kills 200

Prints what was found as JSON. Each process writes what it does into a file of its own before and after it does it.
"""

import argparse
import collections
import json
import os
import random
import signal
import time
from pathlib import Path

from channels.layers.ipc import IPCChannelLayer

PROCESSES = 4
CHANNELS = ["jobs", "mail", "parts?a1"]
SIZES = (50, 9_000)
# An operation that takes longer than this, in seconds, is written down.
SLOW = 0.1


def make_layer(folder):
    return IPCChannelLayer(folder / "layer", size=16 * 2**20, capacity=200)


def work(folder, name):
    """Send and read until killed."""
    layer, number, finished = make_layer(folder), 0, ""
    log = os.open(folder / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(*words):
        os.write(log, (" ".join(map(str, words)) + "\n").encode())

    while True:
        sent = [f"{name}-{number + count}" for count in range(random.randint(0, 3))]
        number += len(sent)
        batch = [
            layer.prepare(random.choice(CHANNELS), {"id": each, "text": "x" * random.randint(*SIZES)}) for each in sent
        ]
        note("tries", *sent)
        began = time.monotonic()
        refused, delivery = layer.send_and_take(batch, CHANNELS, 0.05, finished)
        if (seconds := time.monotonic() - began) > SLOW:
            note("slow", f"{seconds:.3f}")
        accepted = [send.content for send in batch if send not in refused]
        note("sent", *(each for each, send in zip(sent, batch, strict=True) if send.content in accepted))
        finished = ""
        if delivery is not None:
            note("got", delivery.content["id"])
            finished = delivery.channel


def run(folder, kills):
    """Do so and return what was found."""
    running = {}

    def start(number):
        child = os.fork()
        if child == 0:
            try:
                random.seed()
                work(folder, f"process{number}")
            finally:
                os._exit(1)
        running[child] = number

    for number in range(PROCESSES):
        start(number)
    time.sleep(1)
    for kill in range(kills):
        time.sleep(random.uniform(0, 0.1))
        child = random.choice(list(running))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        del running[child]
        start(PROCESSES + kill)
    time.sleep(1)
    for child in running:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return found(folder, kills + PROCESSES)


def found(folder, kills):
    layer, notes = make_layer(folder), collections.defaultdict(list)
    for path in folder.glob("*.log"):
        for line in path.read_text().splitlines():
            kind, *words = line.split()
            notes[kind] += words
    unfinished = layer.global_statistics()["messages_unfinished"]
    left = [content["id"] for _, content in iter(lambda: layer.receive(CHANNELS), (None, None))]
    got = collections.Counter(notes["got"] + left)
    return {
        "kills": kills,
        "sent": len(notes["sent"]),
        "got": len(got),
        "twice": [each for each, times in got.items() if times > 1],
        "never sent": sorted(set(got) - set(notes["tries"])),
        "missing": len(set(notes["sent"]) - set(got)),
        "unfinished": unfinished,
        "slowest": max(map(float, notes["slow"]), default=0.0),
        "statistics": layer.global_statistics(),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=200)
    options = parser.parse_args()
    print(json.dumps(run(options.folder, options.kills)))  # noqa: T201
