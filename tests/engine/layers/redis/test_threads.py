"""`channels.layers.redis.threads`: whatever becomes of a worker's turn, a connection is told that it is over."""

import asyncio
import contextlib

import pytest

from channels.exceptions import ChannelLayerUnavailable
from channels.layers.base import Delivery, Entry, Finish, Ticket
from channels.layers.origin import Origin
from channels.layers.redis import RedisChannelLayer
from channels.layers.sends import HeldSends
from channels.test.process_queue import entries_there
from channels.worker import outgoing as outgoing_module
from channels.worker.outgoing import Outgoing

from ....chaos import ChaosProxy
from ....stores import make_store, stopped
from .traffic import QUEUE

SOCKET = f"{QUEUE}1"
FINISH = Finish(7)
SILENCE = 0.3


def finished(outgoing, layer, text="hello"):
    """End a consumer that has answered the socket."""
    held = HeldSends(Origin(layer, SOCKET, Ticket(7)))
    with held:
        held.hold(layer, layer.prepare(SOCKET, {"text": text}))
    outgoing.take(held)


def turn(outgoing):
    """Do a worker's turn; return what it has been given, or None when the store has failed."""
    with contextlib.suppress(ChannelLayerUnavailable):
        return outgoing.visit(["jobs"], 0.0, "websocket.receive")


def read(layer):
    return asyncio.run(entries_there(layer, QUEUE))


@contextlib.contextmanager
def forbidden(valkey, *commands):
    """A server that refuses some commands."""
    client = valkey.client()
    client.execute_command("ACL", "SETUSER", "default", *(f"-{command}" for command in commands))
    try:
        yield
    finally:
        client.execute_command("ACL", "SETUSER", "default", *(f"+{command}" for command in commands))


def test_a_finish_waits_for_room_in_a_full_process_queue(valkey, prefix):
    layer = RedisChannelLayer(hosts=[(valkey.host, valkey.port)], prefix=prefix, channel_capacity={QUEUE: 1})
    outgoing = Outgoing(layer)
    layer.send(SOCKET, {"text": "first"})
    finished(outgoing, layer)
    turn(outgoing)
    before = asyncio.run(layer.read_queue(QUEUE))
    outgoing.settle()

    assert before == [Entry("1", content={"text": "first"})]
    assert asyncio.run(layer.read_queue(QUEUE)) == [Entry("1", content={"text": "hello"}, finish=FINISH)]


def test_a_finish_whose_reply_was_given_up_goes_on_alone(valkey, prefix, monkeypatch):
    monkeypatch.setattr(outgoing_module, "FULL_TIMEOUT", 0.0)
    layer = RedisChannelLayer(hosts=[(valkey.host, valkey.port)], prefix=prefix, channel_capacity={QUEUE: 1})
    outgoing = Outgoing(layer)
    layer.send(SOCKET, {"text": "first"})
    finished(outgoing, layer)
    turn(outgoing)
    outgoing.settle()
    asyncio.run(layer.read_queue(QUEUE))
    monkeypatch.undo()
    outgoing.settle()

    assert asyncio.run(layer.read_queue(QUEUE)) == [Entry("1", finish=FINISH)]
    assert layer.channel_statistics(SOCKET)["dropped"] == {"full": 1}


@pytest.mark.parametrize("keys", [[], ["key"]])
def test_a_finish_whose_answer_was_lost_is_told_again_alone(tmp_path, prefix, keys):
    with make_store(tmp_path, "sleeper") as sleeper:
        layer = RedisChannelLayer(
            hosts=[(sleeper.host, sleeper.port)],
            prefix=prefix,
            symmetric_encryption_keys=keys,
            connection_kwargs={"socket_timeout": SILENCE},
        )
        outgoing = Outgoing(layer)
        turn(outgoing)
        finished(outgoing, layer)
        with stopped(sleeper), pytest.raises(ChannelLayerUnavailable) as raised:
            outgoing.visit(["jobs"], 0.0, "websocket.receive")
        outgoing.settle()

        assert raised.value.uncertain is True
        assert read(layer) == [Entry("1", content={"text": "hello"}, finish=FINISH), Entry("1", finish=FINISH)]


def test_a_finish_that_was_refused_with_the_rest_of_a_turn_stays_beside_its_reply(direct, valkey):
    outgoing = Outgoing(direct)
    direct.send("jobs", {"number": 1})
    finished(outgoing, direct)
    with forbidden(valkey, "evalsha"):
        delivery = turn(outgoing)
    outgoing.settle()

    assert delivery == Delivery("jobs", {"number": 1})
    assert read(direct) == [Entry("1", content={"text": "hello"}, finish=FINISH)]


def test_so_does_one_for_which_the_store_had_no_memory(direct, valkey):
    outgoing = Outgoing(direct)
    direct.send("jobs", {"number": 1})
    finished(outgoing, direct)
    valkey.client().config_set("maxmemory", 1)
    delivery = turn(outgoing)
    valkey.client().config_set("maxmemory", 0)
    outgoing.settle()

    assert delivery == Delivery("jobs", {"number": 1})
    assert read(direct) == [Entry("1", content={"text": "hello"}, finish=FINISH)]


def test_one_that_the_store_may_have_taken_when_it_brought_a_message_is_told_again_alone(direct, valkey, prefix):
    with ChaosProxy((valkey.host, valkey.port)) as proxy:
        layer = RedisChannelLayer(hosts=[proxy.address], prefix=prefix, connection_kwargs={"socket_timeout": SILENCE})
        outgoing = Outgoing(layer)
        layer.send("jobs", {"number": 1})
        finished(outgoing, layer)
        valkey.client().script_flush()
        connections = layer._hosts[0].connections
        run_text = connections.run_text

        def fall_silent(script, arguments):
            connections.run_text = run_text
            proxy.halt()
            return run_text(script, arguments)

        # The store does not know the script, and falls silent when it is given its text.
        connections.run_text = fall_silent
        delivery = turn(outgoing)
        outgoing.settle()

    assert delivery == Delivery("jobs", {"number": 1})
    assert read(direct) == [Entry("1", finish=FINISH)]
    assert layer.statistics.take()["reply.a!", "dropped:uncertain"] == 1
