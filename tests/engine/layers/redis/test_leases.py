"""Leases and last wills over a real server: who has died is noticed, and spoken for once."""

import asyncio
import secrets
import time

import pytest

from channels.layers.base import Delivery, Entry, Lease, Ticket, UnderWay
from channels.layers.redis import RedisChannelLayer, reader, store

from .traffic import QUEUE

LEASE = 0.3


@pytest.fixture
def redis(valkey, monkeypatch):
    monkeypatch.setattr(store, "LEASE", LEASE)
    monkeypatch.setattr(reader, "LOOK_INTERVAL", 0.0)
    return RedisChannelLayer(hosts=[(valkey.host, valkey.port)], prefix=f"test-{secrets.token_hex(8)}:")


def opening(redis, number):
    """Return the connect message of a socket, with the last will that it leaves."""
    will = redis.prepare("websocket.disconnect", {"socket": number})
    return redis.prepare("websocket.connect", {})._replace(reply_channel=f"{QUEUE}{number}", will=will)


def closing(redis, number):
    return redis.prepare("websocket.disconnect", {"socket": number})._replace(reply_channel=f"{QUEUE}{number}")


def received(redis, channel):
    return [message for _, message in iter(lambda: redis.receive([channel]), (None, None))]


def test_the_wills_of_a_dead_process_are_carried_out_once(redis):
    async def live_and_die():
        await redis.renew_lease(QUEUE)
        await redis.send_many_async([opening(redis, number) for number in range(3)])
        await redis.send_many_async([closing(redis, 1)])

    asyncio.run(live_and_die())
    redis.group_add("room", f"{QUEUE}2")
    before = received(redis, "websocket.disconnect")
    time.sleep(LEASE)
    after = received(redis, "websocket.disconnect")

    assert before == [{"socket": 1}]
    assert sorted(message["socket"] for message in after) == [0, 2]
    assert received(redis, "websocket.disconnect") == []
    assert redis.group_channels("room") == []


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("keys", [[], ["key"]])
def test_a_will_brings_its_ticket_along(redis, hosts, number, keys):
    redis = RedisChannelLayer(hosts=hosts[:number], prefix=redis.prefix, symmetric_encryption_keys=keys)
    content, tickets = {"reply_channel": f"{QUEUE}1"}, [Ticket(3, {"a": b"1"}), Ticket(4, {"a": [2]})]
    first, changed = (redis.prepare_will("websocket.disconnect", content, ticket) for ticket in tickets)
    connect = redis.prepare("websocket.connect", {})._replace(reply_channel=f"{QUEUE}1", will=first)

    async def live_and_die():
        await redis.renew_lease(QUEUE)
        await redis.send_many_async([connect, connect._replace(reply_channel=f"{QUEUE}2")])
        await redis.set_wills(QUEUE, [("2", changed)])

    asyncio.run(live_and_die())
    time.sleep(LEASE)
    found = [redis.take(["websocket.disconnect"]) for _ in range(5)]

    expected = [Delivery("websocket.disconnect", content, ticket) for ticket in tickets]
    assert sorted(filter(None, found), key=lambda delivery: delivery.ticket.number) == expected


def test_a_connect_message_that_was_refused_leaves_no_will(redis):
    redis.capacity = 0
    redis.capacities["websocket.connect"] = 0

    async def try_to_open():
        await redis.renew_lease(QUEUE)
        return await redis.send_many_async([opening(redis, 1)])

    assert len(asyncio.run(try_to_open())) == 1
    time.sleep(LEASE)
    assert received(redis, "websocket.disconnect") == []


def test_a_process_learns_what_the_store_knows_of_it(redis):
    async def renew():
        new, kept = await redis.renew_lease(QUEUE), await redis.renew_lease(QUEUE)
        redis.flush()
        flushed = await redis.renew_lease(QUEUE)
        await asyncio.sleep(LEASE)
        redis.receive(["any"])
        return new, kept, flushed, await redis.renew_lease(QUEUE)

    assert asyncio.run(renew()) == (Lease.NEW, Lease.KEPT, Lease.NEW, Lease.LOST)


def test_a_process_that_has_ended_its_lease_is_not_spoken_for(redis):
    async def live_and_end():
        await redis.renew_lease(QUEUE)
        await redis.set_wills(QUEUE, [("1", redis.prepare("http.disconnect", {}))])
        await redis.end_lease(QUEUE)

    asyncio.run(live_and_end())
    time.sleep(LEASE)

    assert received(redis, "http.disconnect") == []


def test_a_will_can_be_taken_back(redis):
    async def live_and_die():
        await redis.renew_lease(QUEUE)
        await redis.set_wills(QUEUE, [(number, redis.prepare("http.disconnect", {"n": number})) for number in "12"])
        await redis.set_wills(QUEUE, [("1", None)])

    asyncio.run(live_and_die())
    time.sleep(LEASE)

    assert received(redis, "http.disconnect") == [{"n": "2"}]


def test_scripts_that_the_store_has_forgotten_are_sent_again(redis, valkey):
    for number in range(3):
        valkey.client().script_flush()
        redis.send("jobs", {"number": number})
        asyncio.run(redis.send_many_async([redis.prepare("jobs", {"number": -number})]))

    assert [message["number"] for message in received(redis, "jobs")] == [0, 0, 1, -1, 2, -2]


def test_the_will_of_a_connection_that_was_opened_after_its_process_was_given_up_is_carried_out_too(redis):
    async def live_and_die():
        await redis.renew_lease(QUEUE)
        await asyncio.sleep(LEASE)
        collected = received(redis, "websocket.disconnect")
        await redis.send_many_async([opening(redis, 1)])
        return collected, await redis.renew_lease(QUEUE)

    collected, lease = asyncio.run(live_and_die())

    assert (collected, lease) == ([], Lease.LOST)
    assert received(redis, "websocket.disconnect") == [{"socket": 1}]


def test_a_process_that_was_given_up_and_begins_anew_is_not_held_up_by_its_old_queue(redis):
    async def begin_anew():
        await redis.renew_lease(QUEUE)
        reader = asyncio.create_task(redis.read_queue(QUEUE))
        await asyncio.sleep(LEASE)
        received(redis, "any")
        lease = await redis.renew_lease(QUEUE)
        reader.cancel()
        entries = asyncio.create_task(redis.read_queue("reply.b!"))
        await asyncio.sleep(0.1)
        redis.send("reply.b!1", {})
        began = asyncio.get_running_loop().time()
        await entries
        return lease, asyncio.get_running_loop().time() - began

    lease, seconds = asyncio.run(begin_anew())

    assert lease is Lease.LOST
    assert seconds < 0.2


def lost(redis, *numbers):
    """Return which messages of a socket are lost, by their numbers."""
    under_way = [UnderWay("websocket.receive", "reply.a!1", number, 9.0) for number in numbers]
    return [message.number for message in asyncio.run(redis.find_lost(under_way))]


def test_what_a_dead_worker_process_worked_on_is_told_once(redis, caplog):
    redis.renew_worker("one", [UnderWay("websocket.receive", "reply.a!1", 7, 3.2)])
    time.sleep(LEASE)
    redis.renew_worker("other", [])
    redis.renew_worker("other", [])

    assert lost(redis, 7) == [7]
    assert caplog.messages == [
        "Worker process one has said nothing for 8 s and is taken for dead",
        "A message on websocket.receive from reply.a!1 is lost with it, after 3 s of work",
    ]


def test_a_worker_process_that_has_ended_is_not_missed(redis, caplog):
    redis.renew_worker("one", [])
    redis.end_worker("one")
    time.sleep(LEASE)
    redis.renew_worker("other", [])

    assert caplog.messages == []


def test_a_broadcast_reaches_a_process_that_is_late_with_its_lease(redis):
    asyncio.run(redis.renew_lease(QUEUE))
    redis.group_add("room", f"{QUEUE}1")
    time.sleep(LEASE)
    redis.send_group("room", {"text": "late"})

    assert [entry.content for entry in asyncio.run(redis.read_queue(QUEUE))] == [None, {"text": "late"}]
    assert asyncio.run(redis.renew_lease(QUEUE)) is Lease.KEPT


def test_a_broadcast_to_a_process_that_has_died_is_counted_when_that_is_noticed(redis):
    asyncio.run(redis.renew_lease(QUEUE))
    redis.group_add("room", f"{QUEUE}1")
    time.sleep(LEASE)
    redis.send_group("room", {})
    redis.receive(["any"])

    assert redis.channel_statistics(QUEUE + "1")["dropped"] == {"its interface process has ended": 1}


def test_leases_begin_anew_when_nobody_could_renew_one(redis, caplog):
    redis._store.look = (*redis._store.head, 100, redis._store.lease)
    redis.receive(["any"])
    redis.renew_worker("one", [UnderWay("websocket.receive", "reply.a!1", 7)])
    asyncio.run(redis.renew_lease(QUEUE))
    time.sleep(LEASE)
    redis.receive(["any"])
    redis.renew_worker("other", [])

    assert lost(redis, 7) == []
    assert asyncio.run(redis.renew_lease(QUEUE)) is Lease.KEPT
    assert caplog.messages == []


def test_a_lease_begins_anew_only_once_however_seldom_anybody_looks(redis, caplog):
    redis._store.look = (*redis._store.head, 100, redis._store.lease)
    redis.renew_worker("one", [])
    asyncio.run(redis.renew_lease(QUEUE))
    redis.receive(["any"])
    for _ in range(2):
        time.sleep(LEASE + 0.01)
        redis.receive(["any"])
    redis.renew_worker("other", [])

    assert asyncio.run(redis.renew_lease(QUEUE)) is Lease.LOST
    assert caplog.messages[-1] == "Worker process one has said nothing for 8 s and is taken for dead"


def test_a_lease_that_was_renewed_after_it_began_anew_can_do_so_again(redis):
    redis._store.look = (*redis._store.head, 100, redis._store.lease)
    leases = [asyncio.run(redis.renew_lease(QUEUE))]
    redis.receive(["any"])
    for _ in range(2):
        time.sleep(LEASE)
        redis.receive(["any"])
        leases.append(asyncio.run(redis.renew_lease(QUEUE)))

    assert leases == [Lease.NEW, Lease.KEPT, Lease.KEPT]


def end_process(redis, killed):
    """Let an interface process begin, and end with or without a word."""
    asyncio.run(redis.renew_lease(QUEUE))
    if killed:
        time.sleep(LEASE)
        redis.receive(["any"])
    else:
        asyncio.run(redis.end_lease(QUEUE))


@pytest.mark.parametrize("killed", [False, True])
def test_nothing_is_left_for_a_process_that_has_ended(redis, valkey, killed):
    end_process(redis, killed)
    redis.group_add("room", f"{QUEUE}1")
    redis.group_discard("room", f"{QUEUE}2")
    asyncio.run(redis.renew_groups(QUEUE, [("room", "3")]))

    assert redis.group_channels("room") == []
    assert valkey.client().exists(f"{redis.prefix}queue:{QUEUE}") == 0


@pytest.mark.parametrize("flushed", [False, True])
def test_a_membership_reaches_a_process_of_which_the_store_does_not_know_yet(redis, flushed):
    if flushed:
        asyncio.run(redis.renew_lease(QUEUE))
        redis.flush()
    redis.group_add("room", f"{QUEUE}1")

    assert asyncio.run(redis.read_queue(QUEUE)) == [Entry("1", "room", joins=True)]


def test_who_has_left_a_group_is_not_taken_back_by_a_process_that_does_not_know_yet(redis):
    for number in "123":
        redis.group_add("room", QUEUE + number)
    redis.group_discard("room", f"{QUEUE}1")
    asyncio.run(redis.leave_groups(QUEUE, [("room", "2")]))
    asyncio.run(redis.renew_groups(QUEUE, [("room", number) for number in "123"]))

    assert redis.group_channels("room") == [f"{QUEUE}3"]


def test_who_has_come_back_to_a_group_stays_there(redis, valkey):
    redis.group_add("room", f"{QUEUE}1")
    redis.group_discard("room", f"{QUEUE}1")
    redis.group_add("room", f"{QUEUE}1")
    valkey.client().delete(f"{redis.prefix}members:room:{QUEUE}")
    asyncio.run(redis.renew_groups(QUEUE, [("room", "1")]))

    assert redis.group_channels("room") == [f"{QUEUE}1"]


@pytest.mark.parametrize("killed", [False, True])
def test_what_comes_late_for_a_process_that_has_ended_is_dropped_and_counted(redis, valkey, killed):
    end_process(redis, killed)
    left = []
    for number in range(2):
        redis.send(f"{QUEUE}{number}", {})
        # As if a minute had passed.
        valkey.client().zincrby(f"{redis.prefix}deaths", -60_000, QUEUE)
        redis.receive(["any"])
        left.append(valkey.client().exists(f"{redis.prefix}queue:{QUEUE}"))

    assert left == [0, 0]
    assert redis.channel_statistics(f"{QUEUE}1")["dropped"] == {"its interface process has ended": 2}
