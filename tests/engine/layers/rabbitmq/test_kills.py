"""Readers that are killed at any instant: nothing is read twice, and each takes one message along at most."""

import os
import random
import subprocess
import sys
import textwrap
import time

from channels.layers.rabbitmq import RabbitmqChannelLayer

READER = """
    import os, sys
    from channels.layers.rabbitmq import RabbitmqChannelLayer

    layer = RabbitmqChannelLayer(hosts=[sys.argv[1]], prefix=sys.argv[2], capacity=10_000)
    while True:
        delivery = layer.send_and_take([], ["jobs"], 10.0)[1]
        if delivery is not None:
            os.write(1, b"%d\\n" % delivery.content["number"])
"""
KILLS = 6
MESSAGES = 3000


class Reader:
    def __init__(self, url, prefix, file):
        self._file = file
        with file.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", textwrap.dedent(READER), url, prefix],
                stdout=output,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )

    @property
    def numbers(self):
        return [int(line) for line in self._file.read_bytes().split(b"\n")[:-1]]

    def kill(self):
        self.process.kill()
        self.process.wait()


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_kill_costs_one_message_per_thread_at_most_and_doubles_none(broker, prefix, tmp_path):
    writer = RabbitmqChannelLayer(hosts=[broker.url], prefix=prefix, capacity=10_000)
    for start in range(0, MESSAGES, 500):
        assert writer.send_many([writer.prepare("jobs", {"number": n}) for n in range(start, start + 500)]) == []
    readers = [Reader(broker.url, prefix, tmp_path / str(number)) for number in range(2)]
    everybody = list(readers)
    for number in range(KILLS):
        victim = readers[number % 2]
        wait_until(lambda victim=victim: len(victim.numbers) > 20)
        time.sleep(random.random() * 0.02)
        victim.kill()
        readers[number % 2] = Reader(broker.url, prefix, tmp_path / str(2 + number))
        everybody.append(readers[number % 2])
    wait_until(lambda: sum(len(reader.numbers) for reader in everybody) >= MESSAGES - KILLS)
    time.sleep(0.5)
    for reader in readers:
        reader.kill()
    read = [number for reader in everybody for number in reader.numbers]

    assert len(read) == len(set(read))
    assert MESSAGES - KILLS <= len(read) <= MESSAGES
