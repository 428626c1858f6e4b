"""What is lost while one of several hosts cannot be reached, and when one has been asked that had something."""

import asyncio
import socket
import time

import pytest

from channels.exceptions import ChannelLayerUnavailable
from channels.layers.base import UnderWay

from .....services import free_port
from .layers import make_layer, send_to


def lost(layer, *messages):
    under_way = [UnderWay("jobs", "reply.a!1", number, seconds) for number, seconds in messages]
    return [message.number for message in asyncio.run(layer.find_lost(under_way))]


def test_what_two_hosts_have_brought_and_a_thread_has_put_back_is_not_lost(hosts):
    layer = make_layer(hosts)
    for number in (0, 1):
        send_to(layer, number, {"number": number})
    time.sleep(1.5)
    delivery = layer._threads.pop(["jobs"], 1.0)

    assert lost(layer, (1 - delivery.content["number"], 1.5)) == []


def test_what_may_lie_on_a_host_that_is_away_is_lost_when_it_has_expired(valkey):
    layer = make_layer([(valkey.host, valkey.port), ("127.0.0.1", free_port())])
    layer.renew_worker("one", [UnderWay("jobs", "reply.a!1", 8, 70.0)])

    assert lost(layer, (7, 59.0), (8, 70.0), (9, 70.0)) == [9]


def test_without_the_host_that_knows_of_workers_nothing_is_known(valkey):
    layer = make_layer([("127.0.0.1", free_port()), (valkey.host, valkey.port)])

    with pytest.raises(ChannelLayerUnavailable):
        lost(layer, (7, 70.0))


def test_silent_hosts_are_waited_for_at_once(valkey):
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        addresses = [(valkey.host, valkey.port), one.getsockname(), other.getsockname()]
        layer = make_layer(addresses, connection_kwargs={"socket_timeout": 0.7})
        began = time.monotonic()

        assert lost(layer, (7, 59.0)) == []
        assert time.monotonic() - began < 1.2
