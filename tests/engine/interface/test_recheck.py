"""A socket whose user is signed in is looked at by consumers when its group is told to, and once in a period."""

import asyncio
import itertools
from collections import Counter

import pytest

from channels.interface.limits import Limits
from channels.interface.workers import GROUP

from .interface_server import InterfaceServer
from .simulated_time import settle

ANNA = {"_auth_user_id": "7"}


async def opened(server, session=ANNA):
    """Open a socket in the group 'account', whose connect consumer leaves it a session."""
    socket = await server.socket()
    connect = await server.take("websocket.connect")
    server.layer.group_add("account", connect.content["reply_channel"])
    await server.finish(connect, {"accept": True}, changed=session)
    return socket, connect.content["reply_channel"]


async def rechecks(server):
    found = []
    while (delivery := await server.take("websocket.recheck")) is not None:
        found.append((delivery.content, delivery.ticket.number, delivery.ticket.session))
    return found


async def test_the_members_of_a_group_are_looked_at_beside_their_lanes():
    server = InterfaceServer()
    socket, reply_channel = await opened(server)
    await opened(server, {})
    server.layer.send_group("account", {"recheck": True})
    await settle()

    assert await rechecks(server) == [({"reply_channel": reply_channel, "path": "/rooms/"}, None, ANNA)]
    socket.writes(text="on")
    assert (await server.message("websocket.receive"))["order"] == 1
    assert [event["type"] for event in socket.sent] == ["websocket.accept"]


@pytest.mark.parametrize("accepted_first", [True, False])
async def test_a_socket_that_connects_is_looked_at_when_it_is_known_whose_it_is(accepted_first):
    server = InterfaceServer()
    await server.socket()
    connect = await server.take("websocket.connect")
    reply_channel = connect.content["reply_channel"]
    server.layer.group_add("account", reply_channel)
    server.layer.send_group("account", {"recheck": True})
    await settle()
    assert await rechecks(server) == []

    if accepted_first:
        await server.reply(reply_channel, {"accept": True})
        assert await rechecks(server) == []
        await server.finish(connect, changed=ANNA)
    else:
        await server.finish(connect, changed=ANNA)
        assert await rechecks(server) == []
        await server.reply(reply_channel, {"accept": True})

    assert len(await rechecks(server)) == 1


async def test_each_socket_is_looked_at_once_in_a_period_and_not_all_at_once():
    server = InterfaceServer(Limits(recheck_period=10.0))
    for _ in range(20):
        await opened(server)
    await asyncio.sleep(9.5)
    found = []
    for _ in range(20):
        server.layer.send_group(GROUP, {"reads": ["websocket.recheck"]})
        await asyncio.sleep(1)
        found.append([content["reply_channel"] for content, _, _ in await rechecks(server)])

    assert max(map(len, found)) <= 3
    counts = Counter(itertools.chain(*found))
    assert len(counts) == 20
    assert set(counts.values()) <= {1, 2, 3}


async def test_nothing_is_asked_by_itself_without_a_period():
    server = InterfaceServer()
    await opened(server)
    await asyncio.sleep(1000)

    assert await rechecks(server) == []


async def test_nothing_is_asked_in_a_period_that_no_worker_would_hear():
    server = InterfaceServer(Limits(recheck_period=1.0))
    await opened(server)
    await asyncio.sleep(20)
    await rechecks(server)
    await asyncio.sleep(20)

    assert await rechecks(server) == []
