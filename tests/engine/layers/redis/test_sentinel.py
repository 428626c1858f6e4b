"""The Redis layer over Sentinel: it finds the master, and the next one when that has died."""

import asyncio
import contextlib
import itertools
import secrets
import threading
import time

import pytest
from redis import Redis

from channels.exceptions import ChannelLayerUnavailable, InvalidChannelLayerError
from channels.layers import from_url
from channels.layers.base import Entry, Lease
from channels.layers.redis import RedisSentinelChannelLayer
from channels.registry import ChannelLayerManager
from channels.routing import import_target

from ....services import free_port
from ....stores import Watched
from .traffic import QUEUE


@pytest.fixture
def watched(tmp_path):
    with Watched(tmp_path) as watched:
        yield watched


def layer_of(watched, **options):
    # The first sentinel is one that nobody can reach.
    hosts = [("127.0.0.1", free_port()), (watched.sentinel.host, watched.sentinel.port)]
    prefix = f"test-{secrets.token_hex(8)}:"
    return RedisSentinelChannelLayer(hosts=hosts, services=[watched.service], prefix=prefix, **options)


def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_threads_find_the_replica_that_took_over_and_only_the_last_step_of_the_dead_master_may_be_undone(watched):
    redis = layer_of(watched, capacity=100_000)
    received, written, uncertain, stop = [], [], [], threading.Event()

    def write():
        number = 0
        while not stop.is_set():
            try:
                redis.send("jobs", {"number": number})
                written.append(number)
            except ChannelLayerUnavailable as error:
                if not error.uncertain:
                    time.sleep(0.01)
                    continue
                uncertain.append(number)
            number += 1

    def read():
        while not stop.is_set():
            with contextlib.suppress(ChannelLayerUnavailable):
                _, message = redis.receive(["jobs"], block=True, timeout=0.1)
                if message:
                    received.append(message["number"])

    threads = [threading.Thread(target=write), threading.Thread(target=read)]
    for thread in threads:
        thread.start()
    until(lambda: len(received) > 100)
    watched.kill_master()
    switched, before = time.monotonic(), len(written)
    until(lambda: len(written) > before and received[-1] >= written[before])
    back = time.monotonic()
    stop.set()
    for thread in threads:
        thread.join()

    assert back - switched < 2
    assert len(uncertain) <= 1
    # What the master did last it may not have passed on: then the message that was taken last is taken once more.
    again = [number for before, number in itertools.pairwise(received) if number == before]
    assert len(again) <= 1
    assert len(received) == len(set(received)) + len(again)


def test_an_event_loop_finds_the_replica_that_took_over(watched):
    redis = layer_of(watched)

    async def serve():
        await redis.renew_lease(QUEUE)
        redis.group_add("room", f"{QUEUE}1")
        before = await redis.read_queue(QUEUE)
        await asyncio.to_thread(watched.kill_master)
        switched = asyncio.get_running_loop().time()
        with contextlib.suppress(ChannelLayerUnavailable):
            await redis.renew_lease(QUEUE)
        lease = await redis.renew_lease(QUEUE)
        await redis.send_many_async([redis.prepare("room", {"text": "hello"}, to_group=True)])
        return before, lease, await redis.read_queue(QUEUE), asyncio.get_running_loop().time() - switched

    before, lease, after, seconds = asyncio.run(serve())

    assert before == [Entry("1", "room", joins=True)]
    assert lease is Lease.KEPT
    assert after == [Entry("", "room", {"text": "hello"})]
    assert seconds < 2


def test_a_url_with_passwords_and_a_database_reaches_the_master(tmp_path):
    with Watched(tmp_path, "of/the:master", "of/the:sentinel") as watched:
        sentinel = f"{watched.sentinel.host}:{watched.sentinel.port}"
        entry = from_url(
            f"redis+sentinel://:of%2Fthe%3Amaster@{sentinel}/{watched.service}/3?sentinel_password=of/the:sentinel"
        )
        redis = import_target(entry["BACKEND"])(**entry["CONFIG"])
        redis.send("jobs", {"number": 1})
        databases = Redis(watched.master.host, watched.master.port, password="of/the:master").info("keyspace")
        lease = asyncio.run(redis.renew_lease(QUEUE))
        received = redis.receive(["jobs"])

    assert list(databases) == ["db3"]
    assert received == ("jobs", {"number": 1})
    assert lease is Lease.NEW


def test_several_services_share_the_load(watched):
    twice = [watched.service, watched.service]
    redis = RedisSentinelChannelLayer(
        hosts=[f"redis://{watched.sentinel.host}:{watched.sentinel.port}"], services=twice, prefix="twice:"
    )

    redis.send_many([redis.prepare("jobs", {"number": number}) for number in range(10)])

    assert len(redis._hosts) == 2
    assert [redis.receive(["jobs"])[1]["number"] for _ in range(10)] == list(range(10))


def test_without_any_sentinel_the_layer_is_not_available():
    redis = RedisSentinelChannelLayer(hosts=[("127.0.0.1", free_port())], services=["mymaster"])

    with pytest.raises(ChannelLayerUnavailable, match="No master found for 'mymaster'") as in_thread:
        redis.send("jobs", {})
    with pytest.raises(ChannelLayerUnavailable, match="No master found for 'mymaster'") as in_loop:
        asyncio.run(redis.renew_lease(QUEUE))
    assert (in_thread.value.uncertain, in_loop.value.uncertain) == (False, False)


@pytest.mark.parametrize(
    "config", [{}, {"hosts": [("a", 1)]}, {"services": ["a"]}, {"hosts": [("a", 1)], "services": "a"}]
)
def test_a_layer_without_sentinels_or_services_is_refused(config):
    with pytest.raises(InvalidChannelLayerError, match=r"'services': \['mymaster'\]"):
        RedisSentinelChannelLayer(**config)


def test_the_old_path_is_known(settings):
    config = {"hosts": ["redis://127.0.0.1:26379"], "services": ["one", "two"]}
    settings.CHANNEL_LAYERS = {
        "default": {"BACKEND": "asgi_redis.RedisSentinelChannelLayer", "CONFIG": config, "ROUTING": []}
    }

    made = ChannelLayerManager().make_backend("default").channel_layer

    assert type(made) is RedisSentinelChannelLayer
    assert len(made._hosts) == 2
