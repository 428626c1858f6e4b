"""`channels.layers.redis.encryption`: nobody without a key reads, forges, moves or repeats a message."""

import asyncio
import base64
import secrets
import time

import pytest

from channels.exceptions import InvalidChannelLayerError
from channels.layers.redis import RedisChannelLayer
from channels.layers.redis.encryption import LEEWAY, Cipher
from channels.layers.redis.envelope import UnreadableEntry
from channels.test.conformance import ChannelLayerConformance

EXPIRY = 60
NOW = 1_700_000_000.0


class TestEncryptedRedisChannelLayer(ChannelLayerConformance):
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
    return Cipher(keys or ["key"], prefix, EXPIRY)


def test_what_is_sealed_can_be_opened_and_tells_what_it_is_for():
    sealed = make_cipher().seal("c", "jobs", NOW, b"packed")

    opened = make_cipher().open(sealed, NOW + 1)

    assert (opened.kind, opened.name, opened.is_timeless, opened.packed) == ("c", "jobs", False, b"packed")
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


def test_an_old_entry_is_refused_unless_it_is_a_last_will():
    cipher = make_cipher()
    message, will = cipher.seal("c", "jobs", NOW, b"message"), cipher.seal("c", "jobs", None, b"will")
    late = NOW + EXPIRY + LEEWAY

    assert cipher.open(message, late).packed == b"message"
    assert cipher.open(will, late + 1e6).is_timeless
    with pytest.raises(UnreadableEntry, match="long ago"):
        cipher.open(message, late + 1)


@pytest.mark.parametrize("keys", ["one key", b"one key", [""], [3]])
def test_keys_are_a_list_of_texts(keys):
    with pytest.raises(InvalidChannelLayerError, match="list of keys"):
        Cipher(keys, "shop:", EXPIRY)


# The layer


def make_layer(valkey, prefix, keys=("key",), **options):
    return RedisChannelLayer(
        hosts=[(valkey.host, valkey.port)], prefix=prefix, symmetric_encryption_keys=list(keys), **options
    )


@pytest.fixture
def prefix():
    return f"test-{secrets.token_hex(8)}:"


@pytest.fixture
def layer(valkey, prefix):
    return make_layer(valkey, prefix)


def received(layer, *channels):
    return [message for _, message in iter(lambda: layer.receive(channels), (None, None))]


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

    assert received(layer, "mail", "reply.y!") == []
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


def test_a_last_will_is_read_once_however_late(layer, valkey, prefix):
    will = layer.prepare_will("websocket.disconnect", {"code": 1006})

    layer.send_many([will])
    captured = valkey.client().lrange(f"{prefix}queue:websocket.disconnect", 0, -1)
    first = received(layer, "websocket.disconnect")
    valkey.client().rpush(f"{prefix}queue:websocket.disconnect", *captured)

    assert first == [{"code": 1006}]
    assert received(layer, "websocket.disconnect") == []


def test_what_cannot_be_read_is_kept_for_whoever_can(layer, valkey, prefix, monkeypatch):
    monkeypatch.setattr("channels.layers.redis.thread_side.LOOK_INTERVAL", 0.0)
    layer._next_look = 0.0
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
        layer._is_new(host, f"reply.{number}!", b"id", memory=1.0, now=float(2 * number))

    assert len(layer._memories) == 1
