"""The Redis layer, over a real server: the contract of all layers, and what is its own."""

import asyncio
import secrets
import time

import pytest

from channels.exceptions import ChannelLayerUnavailable
from channels.layers.redis import RedisChannelLayer
from channels.test.conformance import ChannelLayerConformance, SingleProcessConformance
from channels.values.names import prefix_of

from ....services import free_port
from ....stores import make_cluster, make_redis


class OneHost(SingleProcessConformance):
    expiry = group_expiry = 2
    prefix = "test-{}:"

    @pytest.fixture(autouse=True)
    def server(self, valkey):
        self.hosts = [(valkey.host, valkey.port)]

    def make_layer(self, **options):
        return RedisChannelLayer(hosts=self.hosts, prefix=self.prefix.format(secrets.token_hex(8)), **options)

    def advance(self, layer, seconds):
        time.sleep(seconds)

    def recipe(self, layer):
        return "channels.layers.redis.RedisChannelLayer", {"hosts": self.hosts, "prefix": layer.prefix}

    def test_others_learn_when_a_worker_last_took_a_message_while_it_works_on_it(self):
        layer = self.make_layer()
        for _ in range(2):
            layer.send("jobs", {})
        worker, reader = (RedisChannelLayer(hosts=self.hosts, prefix=layer.prefix) for _ in range(2))
        worker.receive(["jobs"])
        worker.global_statistics()
        time.sleep(1.1)
        worker.send_and_take([], ["jobs"], 0.0)
        worker.renew_worker("busy", [])

        found = reader.channel_statistics("jobs")

        assert found["messages_received"] == 1
        assert found["seconds_since_received"] < 1

    def test_changes_of_memberships_that_were_read_make_no_room(self):
        layer = self.make_layer(channel_capacity={"reply.*": 3})
        for number in range(3):
            layer.group_add(f"room{number}", "reply.p!1")
        asyncio.run(layer.read_queue("reply.p!"))

        sends = [layer.prepare("reply.p!1", {"number": number}) for number in range(8)]

        assert [send.name for send in sends if not layer.send_many([send])] == ["reply.p!1"] * 3

    def test_a_wait_that_is_all_but_over_ends(self):
        begun = time.monotonic()

        assert self.make_layer().send_and_take([], ["jobs"], 0.0004) == ([], None)
        assert time.monotonic() - begun < 1


class TestRedisChannelLayer(OneHost, ChannelLayerConformance):
    """The one that is tried with several processes, too: those would find the others the same."""


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    with make_redis(tmp_path_factory.mktemp("redis"), "redis") as server:
        yield server


class TestRedisChannelLayerOverRedisItself(OneHost):
    many = 1_000

    @pytest.fixture(autouse=True)
    def server(self, redis):
        self.hosts = [(redis.host, redis.port)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The two nodes of a cluster, each with half of the slots."""
    with make_cluster(tmp_path_factory.mktemp("cluster"), nodes=2) as nodes:
        yield nodes


class TestRedisChannelLayerInACluster(OneHost):
    many = 1_000
    # All keys of a layer lie in the slot that the part in braces leads to: that of "test-1" is on the second node.
    prefix = "{{test-1}}{}:"

    @pytest.fixture(autouse=True)
    def server(self, cluster):
        self.hosts = [(cluster[1].host, cluster[1].port)]


@pytest.mark.parametrize(("prefix", "node"), [("shop:", 0), ("shop:", 1), ("{test-1}:", 0)])
def test_a_cluster_in_which_keys_lie_elsewhere_is_told_with_what_to_write(cluster, prefix, node):
    layer = RedisChannelLayer(hosts=[(cluster[node].host, cluster[node].port)], prefix=prefix)

    for use in (
        lambda: layer.send("jobs", {}),
        lambda: layer.receive(["jobs", "news"]),
        lambda: layer.group_add("room", "reply.x!1"),
        lambda: asyncio.run(layer.renew_lease("reply.x!")),
        lambda: layer.renew_worker("busy", []),
    ):
        with pytest.raises(
            ChannelLayerUnavailable, match=r"Redis cluster.*\(\?prefix=\{chat\}: in CHANNEL_LAYER_URL\)"
        ):
            use()


def test_a_message_is_counted_once_whatever_goes_before_it_in_a_batch(valkey):
    layer = RedisChannelLayer(hosts=[(valkey.host, valkey.port)], prefix=f"test-{secrets.token_hex(8)}:")
    layer.group_add("room", "reply.x!1")
    batch = [
        layer.prepare("room", {}, to_group=True),
        layer.prepare("reply.x!2", {}),
        layer.prepare("jobs", {}),
    ]

    layer.send_many(batch)

    replies, jobs = layer.channel_statistics("reply.x!1"), layer.channel_statistics("jobs")
    assert (replies["messages_count"], replies["messages_count_per_second"]) == (2, 0.2)
    assert (jobs["messages_count"], jobs["messages_count_per_second"]) == (1, 0.1)


def test_a_single_host_that_cannot_be_reached_is_told():
    layer = RedisChannelLayer(hosts=[("127.0.0.1", free_port())])

    with pytest.raises(ChannelLayerUnavailable) as raised:
        layer.send("jobs", {})
    assert raised.value.uncertain is False


@pytest.mark.parametrize("channel", ["jobs", "parts?a"])
def test_the_counts_of_a_channel_with_few_messages_live_on_after_each_of_them(valkey, monkeypatch, channel):
    monkeypatch.setattr("channels.layers.redis.reader.LOOK_INTERVAL", 0.0)
    layer = RedisChannelLayer(hosts=[(valkey.host, valkey.port)], prefix=f"test-{secrets.token_hex(8)}:", expiry=0.1)
    client, key = valkey.client(), f"{layer.prefix}counts:{prefix_of(channel)}"
    for _ in range(2):
        layer.send(channel, {})
        layer.receive([channel])
    layer._threads.save_counts()
    client.expire(key, 10)

    time.sleep(0.1)
    layer._threads.reader.tend_when_due()

    assert client.ttl(key) > 80_000


def test_all_figures_are_found_among_many_keys_a_few_at_a_time(valkey, monkeypatch):
    monkeypatch.setattr("channels.layers.redis.keyspace.PAGE", 10)
    layer = RedisChannelLayer(hosts=[(valkey.host, valkey.port)], prefix=f"test-{secrets.token_hex(8)}:")
    valkey.client().mset({f"foreign:{number}": "" for number in range(1000)})
    layer.send_many([layer.prepare(f"jobs{number}", {}) for number in range(55)])
    layer.receive(["jobs7"])

    figures = layer.global_statistics()

    assert [figures[f"messages_{name}"] for name in ("count", "pending", "received", "unfinished")] == [55, 54, 1, 0]


def test_figures_are_looked_for_without_keeping_the_store_from_other_work(valkey):
    layer = RedisChannelLayer(hosts=[(valkey.host, valkey.port)], prefix=f"test-{secrets.token_hex(8)}:")
    client = valkey.client()
    client.mset({f"foreign:{number}": "" for number in range(300_000)})
    layer.global_statistics()
    client.config_resetstat()
    layer.global_statistics()
    seconds = client.info("commandstats")["cmdstat_evalsha"]["usec"] / 1_000_000
    client.flushdb()

    assert seconds < 0.005


def test_what_an_event_loop_needed_is_gone_with_it(valkey):
    layer = RedisChannelLayer(hosts=[(valkey.host, valkey.port)], prefix=f"test-{secrets.token_hex(8)}:")

    for _ in range(3):
        asyncio.run(layer.send_many_async([layer.prepare("jobs", {})]))

    assert len(layer._loops.known) == 1


def test_a_prefix_is_no_pattern(valkey):
    name = secrets.token_hex(8)
    hosts = [(valkey.host, valkey.port)]
    own, other = (RedisChannelLayer(hosts=hosts, prefix=prefix) for prefix in (f"{name}[b]*?\\:", f"{name}b12\\:"))
    for layer in (own, other):
        layer.send("jobs", {})

    pending = [layer.global_statistics()["messages_pending"] for layer in (own, other)]
    own.flush()

    assert pending == [1, 1]
    assert own.receive(["jobs"]) == (None, None)
    assert other.receive(["jobs"]) == ("jobs", {})
