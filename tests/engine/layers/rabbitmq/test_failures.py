"""What goes wrong between a layer and its broker: each is a clear sentence, and nothing is lost that was accepted."""

import asyncio
import contextlib
import logging
import threading
import time

import pytest

from channels.exceptions import ChannelFull, ChannelLayerUnavailable, InvalidChannelLayerError
from channels.layers.base import Delivery, Entry, Lease, UnderWay
from channels.layers.rabbitmq import RabbitmqChannelLayer, addresses, io_thread
from channels.layers.rabbitmq.io_thread import ANSWER_TIMEOUT
from channels.test.conformance import wait_for
from channels.test.process_queue import read_entries

from ....brokers import own_broker
from ....services import free_port
from .connections import cut, links_of


def persistently(action):
    """Do something that fails for a while, and return what comes of it."""
    deadline = time.monotonic() + 40
    while True:
        try:
            return action()
        except ChannelLayerUnavailable as error:
            assert time.monotonic() < deadline, error
            time.sleep(0.05)


# Bad input


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("redis://localhost", "begins with 'redis'"),
        ("localhost", "begins with nothing"),
        ("amqp://localhost:many", "Port could not be cast"),
        ("amqp://user:secret/1@localhost", "user or password holds one of / . #, to be written as %2F"),
        ("amqp://user:secret?1@localhost", "user or password holds one of / . #, to be written as %2F"),
        ("amqp://user:1/secret@localhost", "user or password holds one of / . #, to be written as %2F"),
        ("amqp://user:secret#1@localhost", "user or password holds one of / . #, to be written as %2F"),
        ("amqp://user:secret@localhost/?heartbeat=4", "has the option 'heartbeat'"),
        ("amqp://localhost/?ssl_ca_certs=/own.pem", "has the option 'ssl_ca_certs'"),
        ("amqps://localhost/?ssl_ca_certs=/is/not/there.pem", "a file for TLS cannot be used"),
    ],
)
def test_a_url_that_cannot_be_meant_is_refused(url, sentence):
    with pytest.raises(InvalidChannelLayerError, match=sentence) as raised:
        RabbitmqChannelLayer(hosts=[url])

    assert "CHANNEL_LAYER_URL" in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_prefix_that_leaves_no_room_for_names_is_refused():
    with pytest.raises(InvalidChannelLayerError, match="at most 40 bytes"):
        RabbitmqChannelLayer(prefix="x" * 41)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("amqp://guest:wrong@127.0.0.1:{port}", "refuses the user 'guest' or its password"),
        ("amqp://127.0.0.1:{port}/elsewhere", "no virtual host 'elsewhere', or the user 'guest' may not use it"),
        ("amqp://nowhere.invalid:{port}", "is not known"),
        ("amqps://127.0.0.1:{port}", "cannot be reached over TLS"),
        ("amqp://127.0.0.1:{tls_port}", "Does it expect amqps://"),
        ("amqps://127.0.0.1:{tls_port}", "cannot be reached over TLS.*an authority that .ssl_ca_certs= names"),
        ("amqps://0.0.0.0:{tls_port}?ssl_ca_certs={authority}", "cannot be reached over TLS.*for this host name"),
    ],
)
def test_what_is_wrong_with_an_address_is_said(broker, url, sentence):
    layer = RabbitmqChannelLayer(hosts=[url.format(**vars(broker))])

    with pytest.raises(ChannelLayerUnavailable, match=sentence) as raised:
        layer.send("jobs", {})
    assert not raised.value.uncertain
    with pytest.raises(ChannelLayerUnavailable, match=sentence):
        layer.receive(["jobs"], block=True, timeout=0.5)
    with pytest.raises(ChannelLayerUnavailable, match=sentence):
        asyncio.run(layer.read_queue("reply.x!"))


def test_over_tls_all_is_the_same(broker, prefix):
    url = f"amqps://localhost:{broker.tls_port}?ssl_ca_certs={broker.authority}"
    layer = RabbitmqChannelLayer(hosts=[url], prefix=prefix)
    layer.send("jobs", {"number": 1})

    assert wait_for(layer, "jobs") == ("jobs", {"number": 1})


def test_an_unreachable_broker_is_told_at_once(broker):
    layer = RabbitmqChannelLayer(hosts=[f"amqp://127.0.0.1:{free_port()}"])
    begun = time.monotonic()

    for _ in range(3):
        with pytest.raises(ChannelLayerUnavailable, match="cannot be reached"):
            layer.send("jobs", {})
    assert time.monotonic() - begun < 3


def test_a_user_without_rights_hears_which_are_needed_and_no_others_are(broker, prefix):
    user = prefix.rstrip(":")
    broker.have_user(user)
    broker.permit(user, "^$", ".*", ".*")
    layer = RabbitmqChannelLayer(hosts=[f"amqp://{user}:secret@127.0.0.1:{broker.port}"], prefix="shop:")

    for _ in range(10):
        with pytest.raises(ChannelLayerUnavailable, match=r"403.*ACCESS_REFUSED.*set_permissions"):
            layer.send("jobs", {})
        # When it has closed the connection that was of no use, too.
        time.sleep(0.03)
    # The documentation names these.
    broker.permit(user, "^shop:", r"^shop:|^amq\\.default$", "^shop:")
    layer = RabbitmqChannelLayer(hosts=[f"amqp://{user}:secret@127.0.0.1:{broker.port}"], prefix="shop:")
    layer.group_add("room", "jobs")
    layer.send_group("room", {"number": 1})
    assert wait_for(layer, "jobs") == ("jobs", {"number": 1})
    assert asyncio.run(layer.renew_lease("reply.x!")) is Lease.NEW
    layer.flush()
    asyncio.run(layer.end_lease("reply.x!"))


def test_a_user_without_rights_to_some_queues_hears_it_wherever_one_is_needed(broker, prefix):
    user = prefix.rstrip(":")
    broker.have_user(user)
    broker.permit(user, f"^{prefix}([+gd]|mail$)", ".*", ".*")
    layer = RabbitmqChannelLayer(hosts=[f"amqp://{user}:secret@127.0.0.1:{broker.port}"], prefix=prefix)
    opening = layer.prepare("jobs", {})._replace(reply_channel="reply.x!1", will=layer.prepare("jobs", {}))

    with pytest.raises(ChannelLayerUnavailable, match=r"403.*set_permissions"):
        layer.take(["mail", "jobs"], 2.0)
    with pytest.raises(ChannelLayerUnavailable, match=r"403.*set_permissions"):
        asyncio.run(layer.send_many_async([opening]))
    with pytest.raises(ChannelLayerUnavailable, match=r"403.*set_permissions"):
        layer.send_and_take([opening], ["mail"], 1.0)
    layer.send("mail", {"number": 1})
    assert wait_for(layer, "mail") == ("mail", {"number": 1})


def test_one_of_several_brokers_is_enough(broker, prefix):
    hosts = [f"amqp://127.0.0.1:{free_port()}", broker.url, f"amqp://127.0.0.1:{free_port()}"]
    layer = RabbitmqChannelLayer(hosts=hosts, prefix=prefix)
    layer.send("jobs", {"number": 1})

    assert wait_for(layer, "jobs") == ("jobs", {"number": 1})


# A rolling deploy


def test_a_changed_capacity_counts_when_its_queue_is_new_and_harms_nobody_until_then(broker, prefix, caplog):
    before, after = (
        RabbitmqChannelLayer(hosts=[broker.url], prefix=prefix, capacity=capacity, expiry=expiry)
        for capacity, expiry in ((2, 60), (5, 30))
    )
    before.send("jobs", {"number": 1})
    received = [after.receive(["jobs"]) for _ in range(2)]
    for _ in range(2):
        after.send("jobs", {})
    with pytest.raises(ChannelFull):
        after.send("jobs", {})
    after.group_add("room", "jobs")

    assert received == [("jobs", {"number": 1}), (None, None)]
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [f"{prefix}jobs" in warning and "other settings" in warning for warning in warnings] == [True]


# What cannot be read


def test_what_cannot_be_read_in_a_process_queue_has_nothing_come_twice(layer):
    layer.send("reply.x!1", {"number": 1})
    layer._io.run(layer._io._broker.published("", layer._io._broker.names.queue("reply.x!"), b"rubbish"))

    async def read():
        entries = await layer.read_queue("reply.x!")
        # Behind this, the broker has heard what was acknowledged.
        await layer.find_lost([UnderWay("jobs", "reply.x!1", 1)])
        layer.send("reply.x!1", {"number": 2})
        while len(entries) < 2:
            with contextlib.suppress(ChannelLayerUnavailable):
                entries += await layer.read_queue("reply.x!")
        return entries

    assert [entry.content for entry in asyncio.run(read())] == [{"number": 1}, {"number": 2}]
    assert layer.channel_statistics("reply.x!1")["dropped"] == {"unreadable": 1}


# Lost connections


def test_no_accepted_message_is_lost_or_doubled_when_connections_are_cut(layer, broker, prefix):
    writer = RabbitmqChannelLayer(hosts=[broker.url], prefix=prefix, capacity=10_000)
    accepted, uncertain, received = [], [], []
    ended = threading.Event()

    def write():
        for number in range(300):
            try:
                persistently_certain(number)
            except ChannelLayerUnavailable:
                uncertain.append(number)
        ended.set()

    def persistently_certain(number):
        while True:
            try:
                writer.send("parts?a1", {"number": number})
            except ChannelLayerUnavailable as error:
                if error.uncertain:
                    raise
                time.sleep(0.02)
            else:
                accepted.append(number)
                return

    def read():
        idle = 0
        while idle < 3:
            try:
                _, message = layer.receive(["parts?a1"], block=True, timeout=0.5)
            except ChannelLayerUnavailable:
                time.sleep(0.02)
                continue
            if message is not None:
                received.append(message["number"])
            idle = idle + 1 if message is None and ended.is_set() else 0

    threads = [threading.Thread(target=write), threading.Thread(target=read)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        time.sleep(0.1)
        cut(writer)
    for thread in threads:
        thread.join()

    assert len(received) == len(set(received))
    assert set(accepted) <= set(received) <= set(accepted) | set(uncertain)


def test_a_waiting_reader_goes_on_when_its_connection_was_cut(layer, broker, prefix):
    other = RabbitmqChannelLayer(hosts=[broker.url], prefix=prefix)
    layer.receive(["jobs"])
    reader = threading.Thread(target=lambda: got.append(persistently(lambda: wait_for(layer, "jobs"))))
    got = []
    reader.start()
    time.sleep(0.2)
    cut(layer)
    time.sleep(0.2)
    other.send("jobs", {"number": 1})
    reader.join()

    assert got == [("jobs", {"number": 1})]


def test_a_process_queue_tells_all_in_order_although_its_connection_was_cut(layer, broker, prefix):
    other = RabbitmqChannelLayer(hosts=[broker.url], prefix=prefix)
    other.group_add("room", "reply.x!1")
    first = asyncio.run(read_entries(layer, "reply.x!", 1))
    cut(layer)
    other.group_add("room", "reply.x!2")
    other.send_group("room", {"number": 1})
    rest = []
    while len(rest) < 2:
        rest += persistently(lambda: asyncio.run(read_entries(layer, "reply.x!", 1)))

    assert [(entry.local, entry.joins) for entry in first] == [("1", True)]
    assert [(entry.local, entry.joins, entry.content) for entry in rest] == [
        ("2", True, None),
        ("", False, {"number": 1}),
    ]


def test_a_message_that_was_only_looked_at_is_there_although_the_broker_took_too_long_to_show_it(layer, monkeypatch):
    layer.take(["jobs"])
    layer.send("jobs", {"number": 1})
    with monkeypatch.context() as slow:
        slow.setattr(io_thread, "ANSWER_TIMEOUT", 0.0)
        with pytest.raises(ChannelLayerUnavailable, match="has not answered"):
            asyncio.run(layer.find_lost([UnderWay("jobs", "reply.x!1", 1)]))

    assert wait_for(layer, "jobs") == ("jobs", {"number": 1})


def test_the_heart_beats_while_a_consumer_works(broker, prefix, monkeypatch):
    monkeypatch.setattr(addresses, "HEARTBEAT", 2)
    layer = RabbitmqChannelLayer(hosts=[broker.url], prefix=prefix)
    layer.send("jobs", {})
    layer.send_and_take([], ["jobs"], 1.0)
    hearts = [link._connection._heartbeat_checker for link in links_of(layer)]
    # The consumer works; the broker would close a connection that is silent for four seconds.
    deadline = time.monotonic() + 30
    while any(heart._heartbeat_frames_sent < 2 for heart in hearts):
        assert time.monotonic() < deadline
        time.sleep(0.05)


# The broker


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    with own_broker(tmp_path_factory.mktemp("own")) as running:
        yield running


def test_while_the_broker_is_short_of_memory_senders_are_told_and_readers_go_on(own, prefix, caplog):
    layer = RabbitmqChannelLayer(hosts=[own.url], prefix=prefix)
    for number in range(3):
        layer.send("jobs", {"number": number})
    own.evaluate("vm_memory_monitor:set_vm_memory_high_watermark(0.00001)")
    begun = time.monotonic()
    for _ in range(2):
        with pytest.raises(ChannelLayerUnavailable, match="takes no messages for now: low on memory"):
            layer.send("jobs", {"number": 3})
    took = time.monotonic() - begun
    received = [wait_for(layer, "jobs")[1]["number"] for _ in range(3)]
    own.evaluate("vm_memory_monitor:set_vm_memory_high_watermark(0.4)")
    persistently(lambda: layer.send("parts?a1", {}))

    assert took < ANSWER_TIMEOUT
    assert received == [0, 1, 2]
    assert any("takes no messages for now" in record.getMessage() for record in caplog.records)
    assert any("takes messages again" in record.getMessage() for record in caplog.records)


def test_when_the_broker_comes_back_all_goes_on(own, prefix):
    layer = RabbitmqChannelLayer(hosts=[own.url], prefix=prefix)
    layer.group_add("room", "reply.x!1")
    layer.group_add("room", "parts?a1")
    layer.send("jobs", {})
    layer.receive(["jobs"], block=True, timeout=1)
    own.evaluate("rabbit:stop()")
    with pytest.raises(ChannelLayerUnavailable):
        layer.send("jobs", {})
    own.evaluate("rabbit:start()")
    persistently(lambda: layer.send("jobs", {"number": 1}))
    layer.send_group("room", {"number": 2})
    asyncio.run(layer.renew_groups("reply.x!", [("room", "1")]))

    assert persistently(lambda: layer.take(["jobs"])) == Delivery("jobs", {"number": 1})
    assert layer.take(["parts?a1"]) == Delivery("parts?a1", {"number": 2})
    assert asyncio.run(read_entries(layer, "reply.x!", 1))[-1].content == {"number": 2}


def test_a_broker_that_comes_back_empty_has_all_that_lives_within_one_renewal(broker, prefix):
    name = prefix.rstrip(":")
    broker.have_virtual_host(name)
    layer = RabbitmqChannelLayer(hosts=[f"{broker.url}{name}"])

    async def live():
        leases = [await layer.renew_lease("reply.x!")]
        layer.group_add("room", "reply.x!1")
        await layer.set_wills("reply.x!", [("1", layer.prepare("gone", {}))])
        await read_entries(layer, "reply.x!", 1)
        broker.empty(name)
        while len(leases) < 3:
            with contextlib.suppress(ChannelLayerUnavailable):
                leases.append(await layer.renew_lease("reply.x!"))
            await asyncio.sleep(0.05)
        await layer.renew_groups("reply.x!", [("room", "1")])
        layer.send_group("room", {"number": 1})
        return leases, await read_entries(layer, "reply.x!", 1)

    assert asyncio.run(live()) == ([Lease.NEW, Lease.NEW, Lease.KEPT], [Entry(group="room", content={"number": 1})])
