"""One of several stores keeps its connections and says nothing: nobody waits for it, and nothing of it is lost."""

import asyncio
import contextlib
import os
import signal
import socket
import threading
import time

import pytest

from channels.exceptions import ChannelLayerUnavailable
from channels.layers.base import Delivery, Lease
from channels.layers.redis import hosts as hosts_module
from channels.layers.redis.several import pops

from .....stores import make_store, stopped
from .layers import make_layer, name_on, send_to


@pytest.fixture
def sleeper(tmp_path):
    with make_store(tmp_path, "sleeper") as store:
        yield store


@pytest.fixture
def other_sleeper(tmp_path):
    with make_store(tmp_path, "other") as store:
        yield store


def test_a_silent_host_keeps_nobody_from_the_others(valkey, sleeper):
    layer = make_layer([(valkey.host, valkey.port), (sleeper.host, sleeper.port)])
    layer._threads.pop(["jobs"], 0.1)
    with stopped(sleeper):
        began = time.monotonic()
        for number in range(20):
            send_to(layer, 0, {"number": number})
            assert layer._threads.pop(["jobs"], 0.5) == Delivery("jobs", {"number": number})

    assert time.monotonic() - began < 2


def test_a_host_that_falls_silent_while_it_waits_is_told_to_stop_over_a_connection_that_is_there(valkey, sleeper):
    layer = make_layer([(valkey.host, valkey.port), (sleeper.host, sleeper.port)])

    def fall_silent():
        os.kill(sleeper.process.pid, signal.SIGSTOP)
        send_to(layer, 0, {})

    timer = threading.Timer(0.2, fall_silent)
    timer.start()
    began = time.monotonic()
    delivery = layer._threads.pop(["jobs"], 0.5)
    took = time.monotonic() - began
    os.kill(sleeper.process.pid, signal.SIGCONT)

    assert delivery == Delivery("jobs", {})
    assert took < 1.5


def test_what_a_silent_host_has_is_not_lost(valkey, sleeper):
    layer = make_layer([(valkey.host, valkey.port), (sleeper.host, sleeper.port)])
    layer._threads.pop(["jobs"], 0.1)
    for number in (0, 1):
        send_to(layer, number, {"number": number})
    with stopped(sleeper):
        first = layer._threads.pop(["jobs"], 0.5)

    assert first == Delivery("jobs", {"number": 0})
    assert layer.receive(["jobs"], block=True, timeout=2) == ("jobs", {"number": 1})


def test_a_look_at_a_silent_host_takes_no_time_and_loses_nothing(valkey, sleeper):
    layer = make_layer([(valkey.host, valkey.port), (sleeper.host, sleeper.port)])
    layer._threads.pop(["jobs"], 0.1)
    send_to(layer, 1, {"number": 1})
    with stopped(sleeper):
        began = time.monotonic()
        looks = [layer.receive(["jobs"]) for _ in range(10)]
        took = time.monotonic() - began

    assert looks == [(None, None)] * 10
    assert took < 1
    assert layer.receive(["jobs"], block=True, timeout=2) == ("jobs", {"number": 1})


def test_an_answer_that_has_come_is_read_however_late_its_thread_looks(valkey, sleeper):
    layer = make_layer([(valkey.host, valkey.port), (sleeper.host, sleeper.port)])
    layer._threads.pop(["jobs"], 0.1)
    send_to(layer, 1, {"number": 1})
    with stopped(sleeper):
        layer.receive(["jobs"])
    link = layer._hosts[1].pops.own()
    assert pops.readable([link.descriptor], 5)
    # As if its consumer had taken long.
    link.pending_since -= 2 * pops.GIVE_UP

    assert layer.receive(["jobs"]) == ("jobs", {"number": 1})


def test_a_host_that_has_failed_is_asked_while_the_only_other_one_is_silent(valkey, sleeper, monkeypatch):
    monkeypatch.setattr(hosts_module, "SILENT_REST", 0.0)
    layer = make_layer([(valkey.host, valkey.port), (sleeper.host, sleeper.port)])
    layer._threads.pop(["jobs"], 0.1)
    with stopped(sleeper):
        send_to(layer, 0, {"number": 0})
        layer._threads.pop(["jobs"], 0.5)
        layer._hosts[0].failed(ChannelLayerUnavailable("It was not there."), "sends")
        send_to(layer, 0, {"number": 1})

        assert layer._threads.pop(["jobs"], 0.5) == Delivery("jobs", {"number": 1})


def test_a_reader_that_stood_still_itself_takes_no_host_for_silent(hosts, monkeypatch):
    layer = make_layer(hosts)
    layer._threads.pop(["jobs"], 0.1)
    readable, calls = pops.readable, []

    def stand_still(descriptors, seconds):
        if descriptors:
            calls.append(seconds)
        if len(calls) != 2:
            return readable(descriptors, seconds)
        time.sleep(2 * pops.PROMPT)
        return set()

    monkeypatch.setattr(pops, "readable", stand_still)
    send_to(layer, 0, {})

    assert layer._threads.pop(["jobs"], 0.5) == Delivery("jobs", {})
    assert calls[2:] == [0.0]
    assert not layer._hosts[1].rests


def test_a_worker_that_stops_puts_back_what_a_silent_host_brings(valkey, sleeper):
    layer = make_layer([(valkey.host, valkey.port), (sleeper.host, sleeper.port)])
    layer._threads.pop(["jobs"], 0.1)
    for number in (0, 1):
        send_to(layer, number, {"number": number})
    with stopped(sleeper):
        layer._threads.pop(["jobs"], 0.5)
    layer.give_back()

    other = make_layer([(sleeper.host, sleeper.port)], prefix=layer.prefix)
    assert other.receive(["jobs"]) == ("jobs", {"number": 1})


def test_a_worker_that_stops_waits_for_each_silent_host(sleeper, other_sleeper):
    layer = make_layer([(store.host, store.port) for store in (sleeper, other_sleeper)])
    layer._threads.pop(["jobs"], 0.1)
    send_to(layer, 1, {"number": 1})
    with stopped(other_sleeper):
        with stopped(sleeper), pytest.raises(ChannelLayerUnavailable):
            layer.receive(["jobs"])
        wake = threading.Timer(0.5, os.kill, (other_sleeper.process.pid, signal.SIGCONT))
        wake.start()
        layer.give_back()
        wake.join()

    assert layer.receive(["jobs"], block=True, timeout=2) == ("jobs", {"number": 1})


def test_what_comes_late_of_a_channel_that_is_read_no_more_is_put_back(valkey, sleeper):
    layer = make_layer([(valkey.host, valkey.port), (sleeper.host, sleeper.port)])
    channel = name_on(layer, 1, "parts?{}")
    layer._threads.pop(["jobs"], 0.1)
    layer.send(channel, {"number": 1})
    with stopped(sleeper), pytest.raises(ChannelLayerUnavailable):
        layer.receive([channel])
    layer.receive(["jobs"], block=True, timeout=0.5)

    assert make_layer([(sleeper.host, sleeper.port)], prefix=layer.prefix).receive([channel])[1] == {"number": 1}


def test_what_cannot_be_put_back_is_put_back_later(hosts, monkeypatch):
    layer = make_layer(hosts)
    for number in (0, 1):
        send_to(layer, number, {"number": number})

    def fail(script, *arguments):
        raise ChannelLayerUnavailable("It is not there.")

    with monkeypatch.context() as patch:
        for host in layer._hosts:
            patch.setattr(host.connections, "run", fail)
        first = layer._threads.pop(["jobs"], 1.0)
    layer.give_back()

    assert make_layer(hosts, prefix=layer.prefix).receive(["jobs"]) == ("jobs", {"number": 1 - first.content["number"]})


def test_what_is_put_back_keeps_its_order(hosts):
    layer = make_layer(hosts)
    for number in range(3):
        send_to(layer, 1, {"number": number})
    host, key = layer._hosts[1], f"{layer.prefix}queue:jobs".encode()
    popped = [(host, host.connections.exchange([("LMPOP", 1, key, "LEFT")])[0]) for _ in range(2)]
    layer._threads.first_of(popped, [])

    assert [layer.receive(["jobs"])[1]["number"] for _ in range(3)] == [0, 1, 2]


def test_counts_are_not_lost_on_a_silent_host(valkey):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hosts = [silent.getsockname(), (valkey.host, valkey.port)]
        layer = make_layer(hosts, connection_kwargs={"socket_timeout": 0.5})
        layer._hosts[0].failed(ChannelLayerUnavailable("It was not there."), "sends")
        layer.statistics.count_sent(["reply.x!1"])
        asyncio.run(layer.tend())
    reader = make_layer(hosts[1:], prefix=layer.prefix)

    assert reader.channel_statistics("reply.x!1")["messages_count"] == 1


@pytest.fixture
def with_silent(valkey):
    """A layer of one server, and of two that accept connections and never say anything."""
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)]
        hosts = [(valkey.host, valkey.port), *(server.getsockname() for server in silent)]
        yield make_layer(hosts, connection_kwargs={"socket_timeout": 0.7})


@pytest.mark.parametrize("asynchronous", [False, True])
def test_messages_go_where_somebody_answers(with_silent, asynchronous):
    layer = with_silent
    for host in layer._hosts[1:]:
        with pytest.raises(ChannelLayerUnavailable) as raised:
            host.connections.exchange([("PING",)])
        host.failed(raised.value, "sends")
    for _ in range(20):
        sends = [layer.prepare("jobs", {})]
        refused = asyncio.run(layer.send_many_async(sends)) if asynchronous else layer.send_many(sends)
        assert refused == []

    assert layer._hosts[0].connections.exchange([("LLEN", f"{layer.prefix}queue:jobs")]) == [20]


def test_an_event_loop_waits_for_silent_hosts_at_once(with_silent):
    layer = with_silent
    began = time.monotonic()
    asyncio.run(layer.send_many_async([layer.prepare("room", {}, to_group=True)]))

    assert time.monotonic() - began < 1.2


def test_silent_hosts_keep_no_process_from_saying_that_it_is_alive_nor_the_others_from_being_tended(with_silent):
    layer = with_silent
    queue = name_on(layer, 0, "reply.{}!")

    async def live():
        began = time.monotonic()
        lease = await layer.renew_lease(queue)
        renewed = time.monotonic()
        await layer.tend()
        return lease, renewed - began, time.monotonic() - renewed

    lease, renewing, tending = asyncio.run(live())

    assert lease is Lease.NEW
    assert renewing < 0.5
    assert tending < 1.2
