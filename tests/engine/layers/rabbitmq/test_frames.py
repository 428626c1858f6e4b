"""Frames: what is packed is what pika packs, and what is read is what pika reads."""

import itertools

import pytest
from pika import frame, spec

from channels.layers.rabbitmq import frames


def whole(data):
    """Return the frames in some data as pika reads them."""
    found = []
    while data:
        length, one = frame.decode_frame(data)
        found.append(one)
        data = data[length:]
    return found


def delivery(tag="jobs.1", number=7, body=b"body", line=3, **properties):
    method = spec.Basic.Deliver(consumer_tag=tag, delivery_tag=number, exchange="", routing_key="jobs")
    header = frame.Header(line, len(body), spec.BasicProperties(**properties))
    parts = [frame.Method(line, method), header, *([frame.Body(line, body)] if body else [])]
    return [part.marshal() for part in parts]


def read(data, start=0):
    return frames.read(data, start, frames.end_of(data, start))


@pytest.mark.parametrize(
    ("exchange", "key", "number", "body"),
    [("", "shop:jobs", 1, b"x"), ("shop:groups", "räume", 2**40, b"\xce" * 1000), ("e" * 255, "k" * 255, 12, b"x")],
)
def test_a_message_is_packed_as_pika_does(exchange, key, number, body):
    method, header, content = whole(frames.publish(5, exchange, key, not exchange, number, body))

    assert (method.method.exchange, method.method.routing_key) == (exchange, key)
    assert (method.method.mandatory, method.method.immediate) == (not exchange, False)
    assert (header.body_size, header.properties) == (len(body), spec.BasicProperties(message_id=str(number)))
    assert content.fragment == body
    assert [part.channel_number for part in (method, header, content)] == [5, 5, 5]


@pytest.mark.parametrize("multiple", [False, True])
def test_an_acknowledgement_is_packed_as_pika_does(multiple):
    expected = frame.Method(5, spec.Basic.Ack(2**40, multiple)).marshal()

    assert frames.acknowledge(5, 2**40, multiple) == expected


@pytest.mark.parametrize("properties", [{}, {"message_id": "12"}, {"headers": {"l": "1", "n": 5}, "type": "has"}])
def test_a_message_is_read_whatever_its_properties_are(properties):
    data = b"".join(delivery(**properties))

    assert read(data) == (3, frames.Delivered("jobs.1", 7, b"body", len(data)))


def test_what_lies_before_and_behind_a_message_is_left_alone():
    one = b"".join(delivery())

    assert read(b"before" + one + b"behind", 6) == (3, frames.Delivered("jobs.1", 7, b"body", 6 + len(one)))


@pytest.mark.parametrize("multiple", [False, True])
@pytest.mark.parametrize(("method", "taken"), [(spec.Basic.Ack, True), (spec.Basic.Nack, False)])
def test_a_confirm_is_read(method, taken, multiple):
    data = frame.Method(3, method(9, multiple)).marshal()

    assert read(data) == (3, frames.Confirmed(9, multiple, taken))


def test_a_message_that_is_not_here_as_a_whole_is_left_to_pika():
    data = b"".join(delivery())
    method = len(delivery()[0])

    assert [frames.end_of(data[:length], 0) for length in range(method)] == [0] * method
    assert {frames.read(data[:length], 0, method) for length in range(method, len(data))} == {None}


def test_messages_of_no_and_of_several_frames_and_mixed_ones_are_left_to_pika():
    empty, next_one = delivery(body=b""), delivery()
    method, header, _ = delivery(body=b"long body")
    pieces = [frame.Body(3, b"long ").marshal(), frame.Body(3, b"body").marshal()]
    mixed = [*itertools.chain(*zip(delivery(line=3), delivery(line=4), strict=True))]

    assert [read(b"".join(parts)) for parts in ([*empty, *next_one], [method, header, *pieces], mixed)] == [None] * 3


@pytest.mark.parametrize("other", [frame.Heartbeat(), frame.Header(3, 4, spec.BasicProperties()), frame.Body(3, b"x")])
def test_other_frames_are_left_to_pika(other):
    assert read(other.marshal()) is None
    assert read(frame.Method(3, spec.Basic.CancelOk("jobs.1")).marshal()) is None
