"""``rundelay`` in processes of its own, over SQLite and PostgreSQL, with a real Redis: nothing twice, nothing lost."""

import json
import random
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from .conftest import CAPACITY


def ask_for(site, number, channel="target", delay=1000, **content):
    """Send a message that asks for another one; wait while the channel is full."""
    while True:
        try:
            site.layer.send("asgi.delay", {"channel": channel, "delay": delay, "content": {"id": number, **content}})
        except site.layer.ChannelFull:
            time.sleep(0.01)
        else:
            return


def test_several_processes_send_each_message_once_and_not_too_early(delay_site):
    for _ in range(2):
        delay_site.run_delay()
    due = {}
    for number in range(400):
        delay = random.randrange(0, 3000)
        ask_for(delay_site, number, delay=delay, data=b"\x00\xff")
        due[number] = time.time() + delay / 1000

    received = delay_site.received("target", len(due))

    assert Counter(content["id"] for _, content in received) == Counter([*due])
    assert all(content["data"] == b"\x00\xff" for _, content in received)
    assert min(at - due[content["id"]] for at, content in received) > -0.5
    assert delay_site.rows == []


def test_processes_killed_at_any_moment_send_nothing_twice_and_lose_sight_of_nothing(delay_site):
    processes = [delay_site.run_delay() for _ in range(2)]
    numbers = range(2000)
    delay_site.insert([("target", json.dumps({"id": number}), number / 300) for number in numbers])
    with ThreadPoolExecutor() as pool:
        reading = pool.submit(delay_site.received, "target", len(numbers), patience=20)
        for kill in range(4):
            time.sleep(random.uniform(0.3, 0.8))
            processes[kill % 2].process.kill()
            processes[kill % 2] = delay_site.run_delay()
        received = Counter(content["id"] for _, content in reading.result())

    left = [(json.loads(content)["id"], state) for _, content, state in delay_site.rows]

    assert [number for number, times in received.items() if times > 1] == []
    assert {state for _, state in left} <= {"taken"}
    assert received.keys() | {number for number, _ in left} == {*numbers}


def test_what_a_killed_process_had_taken_is_parked_by_the_next_one_and_not_sent_again(delay_site):
    delay_site.insert([("target", '{"id": 1}', 0)])
    delay_site.ask("UPDATE channels_delay_delayedmessage SET state = 'taken', taken_by = 'x', taken_at = due_date")
    delay_site.ask("UPDATE channels_delay_delayedmessage SET taken_at = '2020-01-01 00:00:00'")

    process = delay_site.run_delay()
    process.wait_until(lambda: "were taken by a process that was killed" in process.log)

    assert delay_site.rows == [("target", '{"id": 1}', "parked")]
    assert delay_site.received("target", 0) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stop_stores_what_waits_and_ends_with_0(delay_site, number):
    process = delay_site.run_delay()
    for message in range(50):
        ask_for(delay_site, message, delay=3_600_000)
    process.process.send_signal(number)

    assert process.process.wait(30) == 0, process.log
    assert len(delay_site.rows) == 50


def test_what_a_full_channel_refuses_stays_in_the_table_and_is_tried_again(delay_site):
    for number in range(CAPACITY):
        delay_site.layer.send("target", {"id": number})
    process = delay_site.run_delay()
    for number in range(CAPACITY, CAPACITY + 20):
        ask_for(delay_site, number, delay=0)
    process.wait_until(lambda: "Delayed messages are kept and tried again" in process.log)
    process.wait_until(lambda: len(delay_site.rows) == 20)

    received = delay_site.received("target", CAPACITY + 20)

    assert sorted(content["id"] for _, content in received) == [*range(CAPACITY + 20)]
    assert process.log.count("Delayed messages are kept and tried again") == 1


def test_an_idle_process_uses_no_processor_and_wakes_when_a_message_is_due(delay_site):
    process = delay_site.run_delay()
    ask_for(delay_site, 0, delay=0)
    delay_site.received("target", 1)
    before = processor_time(process.process.pid)
    time.sleep(2)
    used = processor_time(process.process.pid) - before

    lateness = []
    for number in range(10):
        due = time.time() + 0.3
        ask_for(delay_site, number, delay=300)
        lateness.append(delay_site.layer.receive(["target"], block=True, timeout=5) and time.time() - due)

    assert used < 0.1
    assert sorted(lateness)[5] < 0.25, lateness


def processor_time(pid):
    """Return how many seconds of processor time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
