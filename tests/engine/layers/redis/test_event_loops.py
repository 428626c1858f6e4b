"""`channels.layers.redis.event_loops`: which messages are lost, by what waits and what workers say."""

import asyncio
import time

import ormsgpack
import pytest

from channels.layers.base import Ticket, UnderWay
from channels.layers.redis import RedisChannelLayer, store
from channels.layers.redis.event_loops import CLOCK_LEEWAY, lost_of

SOCKET = "reply.a!1"
LEASE = 0.3


def under_way(number, seconds):
    return UnderWay("jobs", SOCKET, number, seconds)


@pytest.mark.parametrize("oldest", [0, 4_000, 60_000])
def test_a_message_that_waits_is_not_lost_because_two_clocks_do_not_quite_agree(oldest):
    message = under_way(1, oldest / 1000 + 0.0009)
    later = under_way(1, (oldest + CLOCK_LEEWAY + 1) / 1000)

    assert lost_of([message, later], ["jobs"], [([oldest], set())]) == [later]


def test_where_nothing_waits_a_message_is_lost_at_once():
    assert lost_of([under_way(1, 0.0)], ["jobs"], [([-1], set())]) == [under_way(1, 0.0)]


def test_a_message_may_wait_on_any_host_and_be_with_a_worker_that_any_knows():
    messages = [under_way(1, 9.0), under_way(2, 2.0), under_way(3, 9.0)]
    looked = [([-1], set()), ([3_000], {(SOCKET, 3)})]

    assert lost_of(messages, ["jobs"], looked) == [messages[0]]


@pytest.fixture(params=["one host", "one host, encrypted", "two hosts", "two hosts, encrypted"])
def redis(request, hosts, prefix, monkeypatch):
    monkeypatch.setattr(store, "LEASE", LEASE)
    return RedisChannelLayer(
        hosts=hosts[: 1 if request.param.startswith("one") else 2],
        prefix=prefix,
        symmetric_encryption_keys=["key"] if request.param.endswith("encrypted") else [],
    )


def put(layer, number):
    content = {"reply_channel": SOCKET, "number": number}
    assert asyncio.run(layer.send_many_async([layer.prepare("jobs", content, ticket=Ticket(number))])) == []


def lost(layer, *numbers, seconds=9.0):
    messages = [under_way(number, seconds) for number in numbers]
    return [message.number for message in asyncio.run(layer.find_lost(messages))]


def test_a_message_that_was_taken_is_lost_until_its_worker_says_that_it_has_it(redis):
    put(redis, 7)
    waits = lost(redis, 7, seconds=0.0)
    redis.send_and_take([], ["jobs"], 1.0)
    taken = lost(redis, 7)
    redis.renew_worker("one", [under_way(7, 0.1)])

    assert (waits, taken, lost(redis, 7)) == ([], [7], [])


def test_one_that_was_taken_before_the_oldest_that_waits_is_lost(redis):
    put(redis, 7)
    redis.send_and_take([], ["jobs"], 1.0)
    put(redis, 8)

    assert lost(redis, 7) == [7]
    assert lost(redis, 8, seconds=0.0) == []


def test_what_a_worker_puts_back_waits_again(redis):
    put(redis, 7)
    _, delivery = redis.send_and_take([], ["jobs"], 1.0)
    again = redis.prepare("jobs", delivery.content, ticket=delivery.ticket)
    redis.send_and_take([again], [], 0.0, "jobs")

    assert lost(redis, 7, seconds=0.0) == []
    assert redis.take(["jobs"], 1.0) == delivery


def test_what_a_dead_worker_had_is_lost_though_no_other_lives_to_tell_its_end(redis, caplog):
    redis.renew_worker("one", [under_way(7, 0.1)])
    time.sleep(LEASE)

    assert lost(redis, 7) == [7]
    assert caplog.messages == []


def test_what_has_expired_is_lost_and_counted(hosts, prefix):
    layer = RedisChannelLayer(hosts=hosts, prefix=prefix, expiry=0.1)
    put(layer, 7)
    time.sleep(0.1)

    assert lost(layer, 7) == [7]
    assert layer.channel_statistics("jobs")["dropped"] == {"expired": 1}


def test_when_the_store_has_lost_its_data_what_waited_is_lost_and_what_a_living_worker_has_is_not(redis):
    put(redis, 7)
    redis.renew_worker("one", [under_way(8, 0.1)])
    redis.flush()
    at_once = lost(redis, 7, 8)
    redis.renew_worker("one", [under_way(8, 2.1)])

    assert at_once == [7, 8]
    assert lost(redis, 7, 8) == [7]


@pytest.mark.parametrize(
    "held",
    [
        b"no envelope",
        *map(ormsgpack.packb, [5, [5], [["jobs", SOCKET, 7, 0, "more"]], [["jobs", ["list"], 7]], [["jobs", "", {}]]]),
    ],
)
def test_what_a_worker_of_another_version_says_is_passed_over(direct, valkey, held):
    direct.renew_worker("one", [under_way(7, 0.1)])
    direct.renew_worker("newer", [])
    valkey.client().hset(f"{direct.prefix}held", "newer", held)

    assert lost(direct, 7, 8) == [8]


@pytest.mark.parametrize("sealed", [False, True])
def test_what_another_version_has_written_ends_no_reader(valkey, prefix, sealed):
    keys = ["key"] if sealed else []
    layer = RedisChannelLayer(hosts=[(valkey.host, valkey.port)], prefix=prefix, symmetric_encryption_keys=keys)
    content = {"v": 2, "c": {"reply_channel": SOCKET}}
    foreign = [
        {**content, "v": 3},
        *({**content, "t": ticket} for ticket in (5, [1, {}, 1])),
        *({**content, "f": finish} for finish in (5, [1, {}, [], False, False, 1])),
    ]
    put(layer, 7)
    layer.send(SOCKET, {"text": "last"})
    for queue in ("jobs", "reply.a!"):
        for packed in map(ormsgpack.packb, foreign):
            if sealed:
                packed = layer._store.cipher.seal("c", queue, layer._hosts[0].asides.seconds(), packed)
            valkey.client().lpush(f"{prefix}queue:{queue}", b"9" * 13 + packed)

    entries = asyncio.run(layer.read_queue("reply.a!"))
    deliveries = [layer.send_and_take([], ["jobs"], 0.1)[1] for _ in range(len(foreign) + 1)]

    assert [entry.content for entry in entries] == [{"text": "last"}]
    assert [delivery.ticket for delivery in deliveries if delivery] == [Ticket(7)]
    assert layer.global_statistics()["dropped"] == {"unreadable": 2 * len(foreign)}
