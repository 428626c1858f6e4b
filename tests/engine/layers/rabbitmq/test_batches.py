"""What becomes of batches of which a full channel has taken a part."""

import asyncio

import pytest
from pika import frame, spec

from channels.layers.rabbitmq.publisher import Outcome

from .connections import links_of, record_writes


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


def count_messages(data):
    count = 0
    while data:
        length, one = frame.decode_frame(data)
        count += isinstance(getattr(one, "method", None), spec.Basic.Publish)
        data = data[length:]
    return count


def test_a_consumers_batch_leaves_in_one_write_before_any_of_it_is_confirmed(layer):
    batch = [layer.prepare("parts?a1", {"number": number}) for number in range(50)]
    layer.send("parts?a1", {})
    written = record_writes(links_of(layer)[0]._connection)
    layer.send_many(batch)
    layer.send_and_take(batch[:20], ["jobs"], 0.01)

    assert [count for data in written if (count := count_messages(data))] == [50, 20]
