"""Ways to a server: TLS with certificates of one's own, passwords, Unix sockets; by arguments and by URL."""

import asyncio
import secrets

import pytest
from redis import Redis

from channels.exceptions import ChannelLayerUnavailable, InvalidChannelLayerError
from channels.layers import from_url
from channels.layers.redis import RedisChannelLayer
from channels.routing import import_target

from ....stores import make_certificates, make_store, make_tls_sentinel, make_tls_store


def layer_of(url):
    entry = from_url(url)
    return import_target(entry["BACKEND"])(**{"prefix": f"test-{secrets.token_hex(8)}:", **entry["CONFIG"]})


def carries(redis):
    """Say whether a message goes there and back, over a thread's connection and over an event loop's."""

    async def send():
        await redis.send_many_async([redis.prepare("reply.a!1", {"number": 2})])
        return await redis.read_queue("reply.a!")

    redis.send("jobs", {"number": 1})
    return redis.receive(["jobs"])[1] == {"number": 1} and asyncio.run(send())[0].content == {"number": 2}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory, certificates):
    """A server that speaks nothing but TLS."""
    with make_tls_store(tmp_path_factory.mktemp("tls"), "store", certificates) as store:
        yield store


def test_an_option_that_nobody_knows_is_told_at_once():
    with pytest.raises(InvalidChannelLayerError, match="prefx"):
        layer_of("redis://127.0.0.1:6379/0?prefx=shop:")


def test_tls_with_an_authority_of_ones_own(encrypted, certificates):
    assert carries(layer_of(f"rediss://127.0.0.1:{encrypted.port}/0?ssl_ca_certs={certificates[0]}"))
    assert carries(
        RedisChannelLayer(
            hosts=[f"rediss://localhost:{encrypted.port}/0"], connection_kwargs={"ssl_ca_certs": str(certificates[0])}
        )
    )
    assert carries(
        RedisChannelLayer(
            hosts=[("localhost", encrypted.port)],
            connection_kwargs={"ssl": True, "ssl_ca_certs": str(certificates[0])},
        )
    )


def test_tls_to_a_sentinel_and_to_its_master(encrypted, certificates, tmp_path):
    with make_tls_sentinel(tmp_path, "sentinel", "mymaster", encrypted, certificates) as sentinel:
        assert carries(
            layer_of(f"rediss+sentinel://127.0.0.1:{sentinel.port}/mymaster/0?ssl_ca_certs={certificates[0]}")
        )


def test_a_certificate_of_an_unknown_authority_is_refused(encrypted):
    redis = layer_of(f"rediss://127.0.0.1:{encrypted.port}/0")

    with pytest.raises(ChannelLayerUnavailable, match="CERTIFICATE_VERIFY_FAILED") as raised:
        redis.send("jobs", {})
    assert raised.value.uncertain is False


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A server with a user of its own, for the keys and channels of its own, and nobody else."""
    store = make_store(tmp_path_factory.mktemp("acl"), "store", "--requirepass", "of the operator")
    with store:
        client = Redis(store.host, store.port, password="of the operator")
        client.execute_command("ACL", "SETUSER", "shop", "on", ">of: the/shop", "~test-*", "+@all", "-@admin")
        yield store


def test_a_user_with_a_password(guarded):
    assert carries(layer_of(f"redis://shop:of%3A%20the%2Fshop@127.0.0.1:{guarded.port}/0"))
    assert carries(
        RedisChannelLayer(
            hosts=[("127.0.0.1", guarded.port)],
            connection_kwargs={"username": "shop", "password": "of: the/shop"},
            prefix=f"test-{secrets.token_hex(8)}:",
        )
    )


def test_a_password_alone(guarded):
    assert carries(layer_of(f"redis://:of%20the%20operator@127.0.0.1:{guarded.port}/0"))


@pytest.mark.parametrize(("login", "found"), [("shop:wrong@", "invalid username-password"), ("", "required")])
def test_a_wrong_password_is_told_and_works_when_it_is_right(guarded, login, found):
    redis = layer_of(f"redis://{login}127.0.0.1:{guarded.port}/0?prefix=test-{secrets.token_hex(8)}:")
    operator = Redis(guarded.host, guarded.port, password="of the operator")

    with pytest.raises(ChannelLayerUnavailable, match=found) as in_thread:
        redis.send("jobs", {})
    with pytest.raises(ChannelLayerUnavailable, match=found) as in_loop:
        asyncio.run(redis.read_queue("reply.a!"))
    if login:
        operator.execute_command("ACL", "SETUSER", "shop", ">wrong")
    else:
        operator.config_set("requirepass", "")
    works = carries(redis)
    operator.config_set("requirepass", "of the operator")

    assert (in_thread.value.uncertain, in_loop.value.uncertain) == (False, False)
    assert works


def test_what_a_user_may_not_do_is_told(guarded):
    redis = layer_of(f"redis://shop:of%3A%20the%2Fshop@127.0.0.1:{guarded.port}/0?prefix=other:")

    with pytest.raises(ChannelLayerUnavailable, match="permission") as raised:
        redis.send("jobs", {})
    assert raised.value.uncertain is False


def test_a_unix_socket(tmp_path):
    path = tmp_path / "store.sock"

    with make_store(tmp_path, "store", "--unixsocket", path):
        assert carries(layer_of(f"unix://{path}"))
        assert carries(layer_of(f"unix://{path}?db=3&prefix=shop:"))
        assert carries(RedisChannelLayer(hosts=[{"path": str(path)}]))


@pytest.mark.parametrize("host", ["http://localhost", "localhost:6379", ("localhost",), "redis://localhost:port"])
def test_a_host_that_is_none_is_refused(host):
    with pytest.raises(InvalidChannelLayerError, match="no address"):
        RedisChannelLayer(hosts=[host])


@pytest.mark.parametrize("url", ["redis://:secret@localhost/x", "rediss://localhost:6379/0/1"])
def test_a_database_that_is_no_number_is_refused(url):
    with pytest.raises(InvalidChannelLayerError, match=r"its database is '.+'; expected a number") as raised:
        RedisChannelLayer(hosts=[url])

    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("url", ["redis://localhost", "redis://localhost/", "redis://localhost/2", "unix:///run/redis"])
def test_a_database_may_be_left_out(url):
    RedisChannelLayer(hosts=[url])
