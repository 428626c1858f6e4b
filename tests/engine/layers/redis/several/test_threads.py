"""Several stores share the load of one layer, and none keeps a reader from what lies on another."""

import asyncio
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import channels
from channels import route
from channels.exceptions import ChannelLayerUnavailable
from channels.layers.base import Delivery, Finish, Send, Ticket
from channels.layers.origin import Origin
from channels.layers.redis import hosts as hosts_module
from channels.layers.redis.several.pops import pop_from_all
from channels.layers.sends import HeldSends
from channels.registry import ChannelLayerWrapper
from channels.test.conformance import ChannelLayerConformance
from channels.test.process_queue import entries_there
from channels.values.names import queue_of
from channels.worker import Worker
from channels.worker.outgoing import Outgoing

from .....chaos import ChaosProxy
from .....services import free_port
from .layers import make_layer, name_on, send_to


def test_a_layer_of_one_host_loads_nothing_of_this():
    code = """
import sys
from channels.layers.redis import RedisChannelLayer
RedisChannelLayer(hosts=[("127.0.0.1", 1)])
one = "channels.layers.redis.several" in sys.modules
RedisChannelLayer(hosts=[("127.0.0.1", 1), ("127.0.0.1", 2)])
print(one, "channels.layers.redis.several" in sys.modules)
"""
    folder = Path(channels.__file__).parents[1]
    printed = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    ).stdout

    assert printed.split() == ["False", "True"]


class TestRedisChannelLayerOfTwoHosts(ChannelLayerConformance):
    expiry = group_expiry = 2
    many = 2_000

    # An ordinary channel lies on both: its capacity is that of each, and there is no order between them.
    test_a_channel_takes_its_capacity_and_no_more = None
    test_racing_writers_never_exceed_the_capacity = None
    test_expired_messages_do_not_fill_a_channel = None
    test_a_group_message_to_a_full_channel_is_dropped_and_counted = None
    test_the_statistics_of_a_channel_tell_what_has_passed_and_what_waits = None
    test_a_legal_name_carries_messages_and_joins_groups = None
    # It ends with a marker, which may overtake what lies on the other host; another test below does the same.
    test_each_message_reaches_one_of_many_readers = None

    @pytest.fixture(autouse=True)
    def servers(self, hosts):
        self.hosts = hosts

    def make_layer(self, **options):
        return make_layer(self.hosts, **options)

    def advance(self, layer, seconds):
        time.sleep(seconds)

    def recipe(self, layer):
        return "channels.layers.redis.RedisChannelLayer", {"hosts": self.hosts, "prefix": layer.prefix}


def test_each_message_reaches_one_of_many_readers(hosts):
    layer = make_layer(hosts, capacity=2_000)
    layer.send_many([layer.prepare("jobs", {"number": number}) for number in range(2_000)])

    def read():
        numbers = []
        while (message := layer.receive(["jobs"], block=True, timeout=0.5)[1]) is not None:
            numbers.append(message["number"])
        return numbers

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read) for _ in range(4)]
    numbers = [number for reader in readers for number in reader.result()]

    assert sorted(numbers) == list(range(2_000))


@pytest.mark.parametrize("number", [0, 1])
def test_a_waiting_reader_wakes_for_a_message_on_any_host(hosts, number):
    layer = make_layer(hosts)
    layer.receive(["jobs"])
    timer = threading.Timer(0.2, send_to, (layer, number, {}))
    timer.start()
    began = time.monotonic()

    assert layer.receive(["jobs"], block=True, timeout=5) == ("jobs", {})
    assert time.monotonic() - began < 0.4


@pytest.mark.parametrize("keys", [[], ["key"]])
def test_what_two_hosts_bring_at_once_is_there_for_others_at_once(hosts, keys):
    layer, other = (
        make_layer(hosts, prefix=f"test-{keys}-", symmetric_encryption_keys=keys, expiry=5, group_expiry=5)
        for _ in range(2)
    )
    layer.flush()
    for number in (0, 1):
        send_to(layer, number, {"number": number})

    # As if neither had been there yet when the reader first looked.
    first = layer._threads.pop(["jobs"], 1.0)
    second = other.take(["jobs"])

    assert sorted(delivery.content["number"] for delivery in (first, second)) == [0, 1]
    assert other.receive(["jobs"]) == layer.receive(["jobs"]) == (None, None)


def test_what_is_put_back_dies_at_its_time(hosts):
    layer = make_layer(hosts, expiry=1, group_expiry=1)
    for number in (0, 1):
        send_to(layer, number, {})
    layer._threads.pop(["jobs"], 1.0)
    lives = [host.connections.exchange([("PTTL", f"{layer.prefix}queue:jobs")])[0] for host in layer._hosts]
    time.sleep(1.1)
    layer._threads.reader.next_look = 0.0
    layer._threads.reader.tend_when_due()

    assert 0 < max(lives) <= 3_000
    statistics = layer.channel_statistics("jobs")
    assert (statistics["messages_pending"], statistics["dropped"]) == (0, {"expired": 1})


@pytest.mark.django_db
def test_a_worker_that_stops_leaves_what_came_along_to_others(hosts, monkeypatch):
    layer, handled = make_layer(hosts), []

    def consumer(message):
        handled.append(message["number"])
        worker.stop()

    worker = Worker(ChannelLayerWrapper(layer, "default", [route("jobs", consumer)]))
    for number in (0, 1):
        send_to(layer, number, {"number": number})
    # As if neither had been there yet when the worker first looked.
    monkeypatch.setattr("channels.layers.redis.several.threads.pop_from_any", lambda pops: [])
    worker.run()
    monkeypatch.undo()

    assert layer.receive(["jobs"]) == ("jobs", {"number": 1 - handled[0]})
    assert len(handled) == 1
    assert layer.channel_statistics("jobs")["messages_unfinished"] == 0


@pytest.mark.parametrize("keys", [[], ["key"]])
def test_a_worker_that_begins_is_given_nothing_that_has_expired(hosts, keys):
    site, worker = (
        make_layer(hosts, prefix=f"old-{keys}-", symmetric_encryption_keys=keys, expiry=1, group_expiry=1)
        for _ in range(2)
    )
    site.flush()
    for number in (0, 1):
        send_to(site, number, {})
    time.sleep(1.2)

    assert worker.receive(["jobs"]) == (None, None)


def test_the_end_of_an_outage_is_told_whatever_has_failed(valkey, second):
    layer = make_layer([(valkey.host, valkey.port), (second.host, second.port)])
    for kind in ("sends", "pops", "tending", "counts"):
        layer._hosts[1].failed(ChannelLayerUnavailable("It was not there."), kind)
    layer._hosts[1].works("anything")
    layer._threads.reader.next_look = 0.0
    for _ in range(20):
        layer.send_and_take([], ["jobs"], 0.001, finished="jobs")
        layer._threads.reader.next_look = 0.0

    assert layer._hosts[1].outage._failing == set()


def test_a_dead_host_keeps_nobody_from_the_others(valkey, caplog):
    layer = make_layer([(valkey.host, valkey.port), ("127.0.0.1", free_port())])
    send_to(layer, 0, {})

    assert layer._threads.pop(["jobs"], 1.0) == Delivery("jobs", {})
    assert "This process cannot reach Redis at 127.0.0.1" in caplog.text


def test_a_dead_host_is_logged_once(valkey, caplog, monkeypatch):
    monkeypatch.setattr(hosts_module, "REST", 0.0)
    layer = make_layer([(valkey.host, valkey.port), ("127.0.0.1", free_port())])
    for _ in range(5):
        layer.send_group("room", {})
        layer.send_and_take([layer.prepare("jobs", {})], ["jobs"], 0.1, finished="jobs")

    assert sum("cannot reach" in line for line in caplog.messages) == 1


def test_with_a_dead_host_a_worker_sends_nothing_twice(valkey):
    layer = make_layer([(valkey.host, valkey.port), ("127.0.0.1", free_port())])
    reader = make_layer([(valkey.host, valkey.port)], prefix=layer.prefix)
    channel = name_on(layer, 0, "parts?{}")
    for number in range(20):
        layer.send_and_take([layer.prepare(channel, {"number": number})], ["jobs"], 0.0, finished="jobs")

    sent = [message["number"] for _, message in iter(lambda: reader.receive([channel]), (None, None))]
    assert sent == list(range(20))


def test_that_no_host_answers_is_told():
    layer = make_layer([("127.0.0.1", free_port()), ("127.0.0.1", free_port())])

    with pytest.raises(ChannelLayerUnavailable):
        pop_from_all(dict.fromkeys(layer._hosts, ("BLMPOP", "1", 1, "jobs", "LEFT")), patience=2)


def test_a_worker_whose_sends_no_host_takes_still_gets_what_the_others_have(valkey):
    layer = make_layer([(valkey.host, valkey.port), ("127.0.0.1", free_port())])
    channel = name_on(layer, 1, "parts?{}")
    send_to(layer, 0, {})
    batch = [layer.prepare(channel, {})]

    refused, delivery = layer.send_and_take(batch, ["jobs"], 0.0, finished="jobs")

    assert refused == batch
    assert delivery == Delivery("jobs", {})


@pytest.mark.parametrize("content", [None, {"text": "hello"}])
def test_a_host_that_has_failed_lately_is_not_asked_again_for_what_is_never_given_up(hosts, content):
    layer = make_layer(hosts)
    reply = name_on(layer, 1, "reply.{}!") + "1"
    finish = Send(reply, content and layer.encode(reply, content, False), finish=Finish(7))
    layer._threads.hosts[1].host.failed(ChannelLayerUnavailable("away"), "sends")

    left = layer.send_many([finish])
    rests = layer._threads.hosts[1].host.rests

    assert (left, rests) == (([finish], True) if content is None else ([], False))


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("finish_comes", ["first", "last"])
def test_a_connection_is_told_that_its_message_is_done_after_all_other_hosts_have_theirs(hosts, number, finish_comes):
    layer = make_layer(hosts)
    reply, other = name_on(layer, number, "reply.{}!") + "1", name_on(layer, 1 - number, "parts?{}")
    finish = layer.prepare(reply, {})._replace(finish=Finish(7))
    others = [layer.prepare("room", {}, to_group=True), layer.prepare(other, {})]
    layer.group_add("room", other)
    asked = []
    for host in layer._threads.hosts:

        def send_many(sends, host=host, send=host.send_many):
            asked.append((layer._threads.hosts.index(host), any(each.finish for each in sends)))
            return send(sends)

        host.send_many = send_many

    layer.send_and_take([finish, *others] if finish_comes == "first" else [*others, finish], ["jobs"], 0.0)

    assert asked == [(1 - number, False), (number, True)]


def test_a_finish_survives_the_death_of_its_host_and_what_others_took_is_not_sent_again(valkey, second):
    with ChaosProxy((second.host, second.port)) as proxy:
        layer = make_layer([(valkey.host, valkey.port), proxy.address])
        reply, parts = name_on(layer, 1, "reply.{}!") + "1", name_on(layer, 0, "parts?{}")
        outgoing, held = Outgoing(layer), HeldSends(Origin(layer, reply, Ticket(7)))
        with held:
            for name in (parts, reply):
                held.hold(layer, layer.prepare(name, {"to": name}))
        outgoing.take(held)
        proxy.target = (proxy.host, free_port())
        proxy.cut()
        outgoing.visit(["jobs"], 0.0, "websocket.receive")
        outgoing.settle()
        proxy.target = (second.host, second.port)
        outgoing.settle()

        [entry] = asyncio.run(entries_there(layer, queue_of(reply)))
        received = [layer.take([parts]) for _ in range(2)]

    assert entry.finish == Finish(7)
    assert received == [Delivery(parts, {"to": parts}), None]
