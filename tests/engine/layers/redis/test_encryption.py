"""`channels.layers.redis.encryption`: nobody without a key reads, forges, moves or repeats a message."""

import asyncio
import base64
import secrets
import time

import pytest

from channels.exceptions import ChannelLayerUnavailable, InvalidChannelLayerError
from channels.layers.base import Entry
from channels.layers.envelope import UnreadableEntry
from channels.layers.redis import RedisChannelLayer
from channels.layers.redis.encryption import CHANGE_LIFE, LEEWAY, Cipher
from channels.layers.redis.envelope import DEATH_DIGITS, NEVER
from channels.test.conformance import SingleProcessConformance
from channels.test.process_queue import MemberMessages
from channels.values.turn import Turn

from ....chaos import ChaosProxy

EXPIRY, GROUP_EXPIRY = 60, 86_400
NOW = 1_700_000_000.0


class TestEncryptedRedisChannelLayer(SingleProcessConformance):
    expiry = group_expiry = 2
    many = 1_000

    @pytest.fixture(autouse=True)
    def server(self, valkey):
        self.hosts = [(valkey.host, valkey.port)]

    def make_layer(self, **options):
        prefix = f"test-{secrets.token_hex(8)}:"
        return RedisChannelLayer(hosts=self.hosts, prefix=prefix, symmetric_encryption_keys=["key"], **options)

    def advance(self, layer, seconds):
        time.sleep(seconds)


# The cipher


def make_cipher(*keys, prefix="shop:"):
    return Cipher(keys or ["key"], prefix, EXPIRY, GROUP_EXPIRY)


def test_what_is_sealed_can_be_opened_and_tells_what_it_is_for():
    sealed = make_cipher().seal("c", "jobs", NOW, b"packed")

    opened = make_cipher().open(sealed, NOW + 1)

    assert (opened.kind, opened.name, opened.packed) == ("c", "jobs", b"packed")
    assert b"jobs" not in sealed
    assert b"packed" not in sealed


def test_each_entry_has_an_id_of_its_own():
    cipher = make_cipher()

    identities = {cipher.open(cipher.seal("c", "jobs", NOW, b"same"), NOW).id for _ in range(100)}

    assert len(identities) == 100
    assert {len(identity) for identity in identities} == {16}


def test_any_of_the_keys_opens_and_the_first_seals():
    before, during, after = make_cipher("old"), make_cipher("new", "old"), make_cipher("new")

    assert during.open(before.seal("c", "jobs", NOW, b"1"), NOW).packed == b"1"
    assert after.open(during.seal("c", "jobs", NOW, b"2"), NOW).packed == b"2"
    with pytest.raises(UnreadableEntry, match="not sealed with any of our"):
        after.open(before.seal("c", "jobs", NOW, b"3"), NOW)


def test_a_flipped_bit_is_noticed():
    cipher = make_cipher()
    sealed = base64.urlsafe_b64decode(cipher.seal("c", "jobs", NOW, b"packed"))

    for place in range(len(sealed)):
        forged = bytearray(sealed)
        forged[place] ^= 1
        with pytest.raises(UnreadableEntry):
            cipher.open(base64.urlsafe_b64encode(forged), NOW)


def test_an_entry_of_another_layer_on_the_same_store_is_refused():
    sealed = make_cipher(prefix="shop:").seal("c", "jobs", NOW, b"packed")

    with pytest.raises(UnreadableEntry, match="prefix 'shop:'"):
        make_cipher(prefix="news:").open(sealed, NOW)


@pytest.mark.parametrize(("kind", "life"), [("c", EXPIRY), ("g", EXPIRY), ("m", CHANGE_LIFE)])
def test_an_old_entry_is_refused_and_known_again_until_then(kind, life):
    cipher = make_cipher()
    sealed, late = cipher.seal(kind, "name", NOW, b"packed"), NOW + life + LEEWAY

    assert cipher.open(sealed, late).packed == b"packed"
    assert cipher.open(sealed, late).memory > life + LEEWAY
    with pytest.raises(UnreadableEntry, match="long ago"):
        cipher.open(sealed, late + 1)


def test_a_last_will_is_as_good_as_its_connection_lives():
    cipher = make_cipher()

    assert cipher.open(cipher.seal("c", "ends", None, b"will"), NOW + 1e6).packed == b"will"


@pytest.mark.parametrize("keys", ["one key", b"one key", [""], [3]])
def test_keys_are_a_list_of_texts(keys):
    with pytest.raises(InvalidChannelLayerError, match="list of keys"):
        Cipher(keys, "shop:", EXPIRY, GROUP_EXPIRY)


# The layer


def make_layer(valkey, prefix, keys=("key",), **options):
    return RedisChannelLayer(
        hosts=[(valkey.host, valkey.port)], prefix=prefix, symmetric_encryption_keys=list(keys), **options
    )


@pytest.fixture
def layer(valkey, prefix):
    return make_layer(valkey, prefix)


def received(layer, channel):
    return [message for _, message in iter(lambda: layer.receive([channel]), (None, None))]


def test_no_content_lies_in_the_store(layer, valkey, prefix):
    layer.send("jobs", {"text": "a secret"})
    layer.group_add("room", "reply.x!1")
    layer.send_group("room", {"text": "a secret"})

    client = valkey.client()
    stored = b"".join(b"".join(client.lrange(key, 0, -1)) for key in client.keys(f"{prefix}queue:*"))

    assert stored
    assert b"secret" not in stored


def test_messages_that_are_put_back_are_not_read_again(layer, valkey, prefix):
    for number in range(100):
        layer.send("jobs", {"number": number})
    client, key = valkey.client(), f"{prefix}queue:jobs"
    captured = client.lrange(key, 0, -1)
    first = received(layer, "jobs")
    client.rpush(key, *captured)

    assert len(first) == 100
    assert received(layer, "jobs") == []
    assert layer.channel_statistics("jobs")["dropped"] == {"unreadable": 100}


def test_replies_and_broadcasts_that_are_put_back_are_not_read_again(layer, valkey, prefix):
    async def read():
        layer.group_add("room", "reply.x!1")
        layer.send("reply.x!1", {"text": "reply"})
        layer.send_group("room", {"text": "broadcast"})
        client, key = valkey.client(), f"{prefix}queue:reply.x!"
        captured = client.lrange(key, 0, -1)
        first = await layer.read_queue("reply.x!")
        client.rpush(key, *captured)
        layer.send("reply.x!1", {"text": "last"})
        return first, await layer.read_queue("reply.x!")

    first, again = asyncio.run(read())

    assert len(first) == 3
    assert [entry.content for entry in again] == [{"text": "last"}]


def test_a_message_that_is_moved_to_another_channel_is_not_read_there(layer, valkey, prefix):
    layer.send("jobs", {})
    layer.send("reply.x!1", {})
    client = valkey.client()
    client.lmove(f"{prefix}queue:jobs", f"{prefix}queue:mail", "LEFT", "RIGHT")
    client.lmove(f"{prefix}queue:reply.x!", f"{prefix}queue:reply.y!", "LEFT", "RIGHT")

    assert received(layer, "mail") == asyncio.run(MemberMessages(layer).take("reply.y!")) == []
    assert layer.global_statistics()["dropped"] == {"unreadable": 2}


def test_messages_without_encryption_are_refused(layer, valkey, prefix):
    make_layer(valkey, prefix, keys=()).send("jobs", {"forged": True})

    assert received(layer, "jobs") == []


def test_encrypted_messages_need_a_key(layer, valkey, prefix):
    layer.send("jobs", {})
    without = make_layer(valkey, prefix, keys=())

    assert received(without, "jobs") == []
    assert without.channel_statistics("jobs")["dropped"] == {"unreadable": 1}


def test_a_change_of_keys_loses_nothing(valkey, prefix):
    steps = [["old"], ["old", "new"], ["new", "old"], ["new"]]
    layers = [make_layer(valkey, prefix, keys=keys) for keys in steps]

    for sender, reader in [(0, 1), (1, 0), (1, 2), (2, 1), (2, 3), (3, 2)]:
        layers[sender].send("jobs", {"step": sender})
        assert received(layers[reader], "jobs") == [{"step": sender}]


def test_a_last_will_is_read_once_however_late(valkey, prefix, monkeypatch):
    monkeypatch.setattr("channels.layers.redis.store.LEASE", 0.3)
    layer = make_layer(valkey, prefix)
    # Far more than the life of a message passes while the connection is open.
    monkeypatch.setattr(layer._store.cipher, "_expiry", -LEEWAY)
    will = layer.prepare_will("ends", {"code": 1006})

    async def live():
        await layer.renew_lease("reply.x!")
        await layer.set_wills("reply.x!", [("1", will)])

    asyncio.run(live())
    time.sleep(0.3)
    layer._threads.reader.next_look = 0.0
    layer._threads.reader.tend_when_due()
    captured = valkey.client().lrange(f"{prefix}queue:ends", 0, -1)
    first = received(layer, "ends")
    valkey.client().rpush(f"{prefix}queue:ends", *captured)

    assert first == [{"code": 1006}]
    assert received(layer, "ends") == []


@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_very_first_message_is_not_read_either_when_its_time_is_over(valkey, prefix, asynchronous):
    layer, reader = make_layer(valkey, prefix), make_layer(valkey, prefix)
    sends = [layer.prepare("jobs", {})]
    asyncio.run(layer.send_many_async(sends)) if asynchronous else layer.send_many(sends)
    client, key = valkey.client(), f"{prefix}queue:jobs"
    never = b"%d" % NEVER + client.lpop(key)[DEATH_DIGITS:]
    client.rpush(key, never)
    reader._hosts[0].asides.hear([[int(time.time() + EXPIRY + 2 * LEEWAY), 0]])

    assert received(reader, "jobs") == []


@pytest.mark.parametrize("asynchronous", [False, True])
def test_what_is_sealed_after_a_connection_was_lost_has_the_time_of_the_store_that_is_found_then(
    valkey, prefix, asynchronous
):
    reader = make_layer(valkey, prefix)
    with ChaosProxy((valkey.host, valkey.port)) as proxy:
        layer = RedisChannelLayer(hosts=[proxy.address], prefix=prefix, symmetric_encryption_keys=["key"])

        async def send(number):
            sends = [layer.prepare("jobs", {"number": number})]
            await layer.send_many_async(sends) if asynchronous else layer.send_many(sends)

        async def lose_the_connection():
            await send(0)
            # As if the next store's clock were ahead by so much.
            layer._hosts[0].asides._distance -= 2 * (EXPIRY + LEEWAY)
            proxy.cut()
            await asyncio.sleep(0.1)
            await send(1)

        asyncio.run(lose_the_connection())

    assert received(reader, "jobs") == [{"number": 0}, {"number": 1}]


def test_a_time_that_could_not_be_asked_for_makes_nothing_uncertain(valkey, prefix):
    with ChaosProxy((valkey.host, valkey.port)) as proxy:
        layer = RedisChannelLayer(
            hosts=[proxy.address],
            prefix=prefix,
            symmetric_encryption_keys=["key"],
            connection_kwargs={"socket_timeout": 0.3},
        )
        layer.receive(["jobs"])
        layer._hosts[0].asides._distance = None
        layer._hosts[0].asides.ask_again()
        proxy.halt()

        with pytest.raises(ChannelLayerUnavailable) as raised:
            layer.send("jobs", {})
    assert raised.value.uncertain is False


def test_changes_of_memberships_are_read_though_messages_of_their_age_are_not(valkey, prefix):
    layer = make_layer(valkey, prefix)
    layer.send("jobs", {})
    layer.group_add("room", "reply.x!1")
    layer._hosts[0].asides.hear([[int(time.time() + CHANGE_LIFE), 0]])

    assert asyncio.run(layer.read_queue("reply.x!")) == [Entry("1", "room", joins=True)]


# Memberships that are told anew


QUEUE = "reply.x!"


async def restated(layer):
    await layer.renew_lease(QUEUE)
    await layer.restate_memberships(QUEUE)
    return await layer.read_queue(QUEUE)


def test_a_membership_that_was_lost_on_its_way_is_told_anew(layer, valkey, prefix):
    layer.group_add("room", f"{QUEUE}1")
    valkey.client().delete(f"{prefix}queue:{QUEUE}")

    assert asyncio.run(restated(layer)) == [Entry(), Entry("1", "room", joins=True)]


def test_a_membership_that_was_told_anew_before_it_came_counts_after_a_leave_that_is_older(layer):
    layer.group_add("room", f"{QUEUE}1")
    layer.group_discard("room", f"{QUEUE}1")
    layer.group_add("room", f"{QUEUE}1")
    again = asyncio.run(restated(layer))
    layer.send(f"{QUEUE}1", {})
    joins, leaves = Entry("1", "room", joins=True), Entry("1", "room")

    assert again == [Entry(), joins]
    assert asyncio.run(layer.read_queue(QUEUE)) == [joins, leaves, joins, Entry("1", content={})]
    assert layer.global_statistics()["dropped"] == {}


def test_a_membership_that_the_reader_knows_stays(layer):
    layer.group_add("room", f"{QUEUE}1")
    asyncio.run(layer.read_queue(QUEUE))
    asyncio.run(layer.renew_groups(QUEUE, [("room", "1"), ("room", "2")]))

    stay = [Entry(local, "room", joins=True, stays=True) for local in "12"]
    assert asyncio.run(restated(layer)) == [Entry(), *stay]


def test_a_membership_is_told_anew_once_though_the_store_tells_it_again(layer):
    layer.group_add("room", f"{QUEUE}1")
    asyncio.run(restated(layer))

    assert asyncio.run(restated(layer)) == [Entry(), Entry("1", "room", joins=True, stays=True)]


@pytest.mark.parametrize("group", ["room", "other"])
def test_a_membership_that_was_forged_in_the_store_is_not_told(layer, valkey, prefix, group):
    client = valkey.client()
    layer.group_add("room", f"{QUEUE}1")
    sealed = client.hget(f"{prefix}joins:{QUEUE}", "room 1")
    layer.group_discard("room", f"{QUEUE}1")
    asyncio.run(layer.read_queue(QUEUE))
    left = client.hlen(f"{prefix}joins:{QUEUE}")
    make_layer(valkey, prefix, keys=()).group_add(group, f"{QUEUE}1")
    client.hset(f"{prefix}joins:{QUEUE}", f"{group} 1", sealed)
    client.delete(f"{prefix}queue:{QUEUE}")

    assert left == 0
    assert asyncio.run(restated(layer)) == [Entry(), Entry("1", group, joins=True, stays=True)]


def test_the_sealed_memberships_of_a_process_go_with_it(layer, valkey, prefix):
    layer.group_add("room", f"{QUEUE}1")
    asyncio.run(layer.end_lease(QUEUE))

    assert valkey.client().exists(f"{prefix}joins:{QUEUE}") == 0


def test_what_cannot_be_read_is_kept_for_whoever_can(layer, valkey, prefix, monkeypatch):
    monkeypatch.setattr("channels.layers.redis.reader.LOOK_INTERVAL", 0.0)
    layer._threads.reader.next_look = 0.0
    make_layer(valkey, prefix, keys=["other"]).send("jobs", {"number": 1})

    received(layer, "jobs")
    layer.receive(["jobs"])

    client = valkey.client()
    assert client.llen(f"{prefix}unreadable") == 1
    assert 0 < client.ttl(f"{prefix}unreadable") <= 86_400


def test_what_was_read_from_queues_that_are_gone_is_forgotten(valkey, prefix):
    layer = make_layer(valkey, prefix, expiry=0.1)
    host = layer._hosts[0]
    for number in range(10):
        layer._store._is_new(host, f"reply.{number}!", b"id", memory=1.0, now=float(2 * number))

    assert len(layer._store._memories) == 1


@pytest.mark.parametrize("read", [lambda layer: layer.read_queue(QUEUE), restated], ids=["read", "told anew"])
def test_others_have_their_turn_while_much_that_is_sealed_is_opened(layer, read, monkeypatch):
    gave_way = []

    class ShortTurn(Turn):
        is_over = True

        async def give_way(self):
            gave_way.append(True)
            await super().give_way()

    monkeypatch.setattr("channels.layers.redis.event_loops.Turn", ShortTurn)
    for number in range(50):
        layer.group_add("room", f"{QUEUE}{number}")

    entries = asyncio.run(read(layer))

    assert len(gave_way) == len([entry for entry in entries if entry.group]) == 50
