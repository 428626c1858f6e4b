"""The channel session in last wills, over a real server."""

import asyncio
import time

import pytest

from channels.layers.base import Delivery, Ticket
from channels.layers.redis import RedisChannelLayer, reader, store

LEASE = 0.3
QUEUE = "reply.x!"


@pytest.fixture(params=[None, ["key"]], ids=["plain", "encrypted"])
def layer(request, valkey, prefix, monkeypatch):
    monkeypatch.setattr(store, "LEASE", LEASE)
    monkeypatch.setattr(reader, "LOOK_INTERVAL", 0.0)
    options = {"symmetric_encryption_keys": request.param} if request.param else {}
    return RedisChannelLayer(hosts=[(valkey.host, valkey.port)], prefix=prefix, **options)


def content(number):
    return {"reply_channel": f"{QUEUE}{number}", "code": 1006}


def opening(layer, number, session):
    """Return the connect message of a socket, with the last will that it leaves."""
    will = layer.prepare_will("websocket.disconnect", content(number), Ticket(None, session))
    send = layer.prepare("websocket.connect", content(number), ticket=Ticket(0, session))
    return send._replace(reply_channel=f"{QUEUE}{number}", will=will)


def taken(layer):
    return list(iter(lambda: layer.take(["websocket.disconnect"]), None))


def test_a_last_will_carries_the_session_as_it_was_last_told(layer):
    async def live_and_die():
        await layer.renew_lease(QUEUE)
        await layer.send_many_async([opening(layer, number, {"number": number}) for number in range(2)])
        changed = layer.prepare_will("websocket.disconnect", content(1), Ticket(None, {"deep": [{"a": b"1"}]}))
        await layer.set_wills(QUEUE, [("1", changed)])

    asyncio.run(live_and_die())
    time.sleep(LEASE)
    # What carries wills out comes back without a message.
    found = taken(layer) + taken(layer)

    assert sorted(found, key=lambda delivery: delivery.content["reply_channel"]) == [
        Delivery("websocket.disconnect", content(0), Ticket(None, {"number": 0})),
        Delivery("websocket.disconnect", content(1), Ticket(None, {"deep": [{"a": b"1"}]})),
    ]
