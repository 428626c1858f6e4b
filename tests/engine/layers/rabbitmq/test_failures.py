"""What goes wrong between a layer and its broker: each is a clear sentence, and nothing is lost that was accepted."""

import asyncio
import logging
import threading
import time

import pytest

from channels.exceptions import ChannelFull, ChannelLayerUnavailable, InvalidChannelLayerError
from channels.layers.base import Delivery, Lease
from channels.layers.rabbitmq import RabbitmqChannelLayer, addresses
from channels.test.conformance import wait_for
from channels.test.process_queue import read_entries

from ....services import free_port


@pytest.fixture
def layer(broker, prefix):
    return RabbitmqChannelLayer(hosts=[broker.url], prefix=prefix)


def cut(layer):
    for link in layer._core.publishing, layer._core.reading:
        if link.is_open:
            layer._core.post(link._connection.close)


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
    ("change", "sentence"),
    [
        (("guest:guest", "guest:wrong"), "refuses the user 'guest' or its password"),
        (("/", "/elsewhere"), "no virtual host 'elsewhere', or the user 'guest' may not use it"),
        (("amqp:", "amqps:"), "cannot be reached over TLS|does not talk to us"),
        (("127.0.0.1", "nowhere.invalid"), "is not known"),
    ],
    ids=["password", "virtual host", "TLS", "host"],
)
def test_what_is_wrong_with_an_address_is_said(broker, change, sentence):
    url = change[1].join(broker.url.rsplit(change[0], 1))
    layer = RabbitmqChannelLayer(hosts=[url])

    with pytest.raises(ChannelLayerUnavailable, match=sentence) as raised:
        layer.send("jobs", {})
    assert not raised.value.uncertain
    with pytest.raises(ChannelLayerUnavailable, match=sentence):
        layer.receive(["jobs"], block=True, timeout=0.5)
    with pytest.raises(ChannelLayerUnavailable, match=sentence):
        asyncio.run(layer.read_queue("reply.x!"))


def test_an_unreachable_broker_is_told_at_once(broker):
    layer = RabbitmqChannelLayer(hosts=[f"amqp://127.0.0.1:{free_port()}"])
    begun = time.monotonic()

    for _ in range(3):
        with pytest.raises(ChannelLayerUnavailable, match="cannot be reached"):
            layer.send("jobs", {})
    assert time.monotonic() - begun < 3


def test_a_user_without_rights_hears_which_are_needed_and_no_others_are(broker, prefix):
    user = prefix.rstrip(":")
    broker.ctl("add_user", user, "secret")
    broker.ctl("set_permissions", user, "^$", ".*", ".*")
    layer = RabbitmqChannelLayer(hosts=[f"amqp://{user}:secret@127.0.0.1:{broker.port}"], prefix="shop:")

    with pytest.raises(ChannelLayerUnavailable, match=r"403.*ACCESS_REFUSED.*set_permissions"):
        layer.send("jobs", {})
    # The documentation names these.
    broker.ctl("set_permissions", user, "^shop:", r"^shop:|^amq\.default$", "^shop:")
    layer = RabbitmqChannelLayer(hosts=[f"amqp://{user}:secret@127.0.0.1:{broker.port}"], prefix="shop:")
    layer.group_add("room", "jobs")
    layer.send_group("room", {"number": 1})
    assert wait_for(layer, "jobs") == ("jobs", {"number": 1})
    assert asyncio.run(layer.renew_lease("reply.x!")) is Lease.NEW
    layer.flush()
    asyncio.run(layer.end_lease("reply.x!"))


def test_one_of_several_brokers_is_enough(broker, prefix):
    hosts = [f"amqp://127.0.0.1:{free_port()}", broker.url, f"amqp://127.0.0.1:{free_port()}"]
    layer = RabbitmqChannelLayer(hosts=hosts, prefix=prefix)
    persistently(lambda: layer.send("jobs", {"number": 1}))

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


def test_the_heart_beats_while_a_consumer_works(broker, prefix, monkeypatch):
    monkeypatch.setattr(addresses, "HEARTBEAT", 1)
    layer = RabbitmqChannelLayer(hosts=[broker.url], prefix=prefix)
    layer.send("jobs", {})
    layer.send_and_take([], ["jobs"], 1.0)
    links = [link._connection for link in (layer._core.publishing, layer._core.reading)]
    time.sleep(3.5)

    assert [link._connection for link in (layer._core.publishing, layer._core.reading)] == links
    assert all(connection.is_open for connection in links)


# The broker


def test_while_the_broker_is_short_of_memory_senders_are_told_and_readers_go_on(layer, broker, prefix, caplog):
    for number in range(3):
        layer.send("jobs", {"number": number})
    broker.ctl("set_vm_memory_high_watermark", "0.00001")
    try:
        begun = time.monotonic()
        for _ in range(2):
            with pytest.raises(ChannelLayerUnavailable, match="takes no messages for now: low on memory"):
                layer.send("jobs", {"number": 3})
        took = time.monotonic() - begun
        received = [wait_for(layer, "jobs")[1]["number"] for _ in range(3)]
    finally:
        broker.ctl("set_vm_memory_high_watermark", "0.8")
    persistently(lambda: layer.send("parts?a1", {}))

    assert took < 2
    assert received == [0, 1, 2]
    assert any("takes no messages for now" in record.getMessage() for record in caplog.records)
    assert any("takes messages again" in record.getMessage() for record in caplog.records)


def test_when_the_broker_comes_back_all_goes_on(layer, broker):
    layer.group_add("room", "reply.x!1")
    layer.group_add("room", "parts?a1")
    layer.send("jobs", {})
    layer.receive(["jobs"], block=True, timeout=1)
    broker.kill()
    with pytest.raises(ChannelLayerUnavailable):
        layer.send("jobs", {})
    broker.start()
    persistently(lambda: layer.send("jobs", {"number": 1}))
    layer.send_group("room", {"number": 2})
    asyncio.run(layer.renew_groups("reply.x!", [("room", "1")]))

    assert persistently(lambda: layer.take(["jobs"])) == Delivery("jobs", {"number": 1})
    assert layer.take(["parts?a1"]) == Delivery("parts?a1", {"number": 2})
    assert asyncio.run(read_entries(layer, "reply.x!", 1))[-1].content == {"number": 2}
