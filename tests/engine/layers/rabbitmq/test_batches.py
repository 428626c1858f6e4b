"""What becomes of batches of which a full channel has taken a part."""

import asyncio

import pytest

from channels.layers.rabbitmq.publisher import Outcome


@pytest.fixture
def full_for_one(layer):
    """A layer whose broker refuses a message and takes the next one: a reader has made room in between."""
    layer.receive(["jobs"])
    outcomes = iter([Outcome.FULL, Outcome.TAKEN])
    layer._io._broker.publisher.publish = lambda exchange, key, body, done, *more, **others: done(next(outcomes))
    return layer


def test_a_message_that_others_have_overtaken_is_refused(full_for_one):
    layer = full_for_one
    first, second = (layer.prepare("jobs", {"number": number}) for number in (1, 2))

    async def send():
        # What the connections of an event loop send leaves together.
        return await asyncio.gather(*(layer.send_many_async([send]) for send in (first, second)))

    assert asyncio.run(send()) == [[first], []]
    assert layer.channel_statistics("jobs")["dropped"] == {}


def test_a_message_that_its_own_batch_has_overtaken_is_dropped_since_it_would_come_out_of_its_order(full_for_one):
    layer = full_for_one
    batch = [layer.prepare("jobs", {"number": number}) for number in (1, 2)]

    assert layer.send_many(batch) == []
    assert layer.channel_statistics("jobs")["dropped"] == {"full, overtaken": 1}
