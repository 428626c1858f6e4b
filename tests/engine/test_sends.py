import pytest
from django.contrib.sessions.models import Session
from django.db import transaction

from channels import Channel, Group, route
from channels.layers.inmemory import InMemoryChannelLayer
from channels.sends import held_sends, hold_sends


class RecordingLayer(InMemoryChannelLayer):
    """Keeps the batches that are sent through it."""

    def __init__(self, **options):
        super().__init__(**options)
        self.batches = []

    def send_many(self, batch):
        batch = list(batch)
        self.batches.append([(send.name, send.content) for send in batch])
        return super().send_many(batch)


def trigger(site):
    """Run the consumer of the channel "trigger"."""
    site.consume("trigger")


def test_sends_leave_as_one_batch_when_the_consumer_has_ended(make_site):
    layer, seen = RecordingLayer(), []

    def consumer(message):
        Channel("a").send({"number": 1})
        Group("b").send({"number": 2})
        Channel("a").send({"number": 3})
        seen.append(list(layer.batches))

    trigger(make_site([route("trigger", consumer)], layer=layer))

    [arrival] = seen[0]
    assert arrival[0][0] == "trigger"
    assert layer.batches[1:] == [[("a", {"number": 1}), ("b", {"number": 2}), ("a", {"number": 3})]]


def test_sends_leave_after_an_exception_too(make_site):
    def consumer(message):
        Channel("a").send({"number": 1})
        raise RuntimeError

    site = make_site([route("trigger", consumer)])
    trigger(site)

    assert site.received("a") == [{"number": 1}]


def test_a_send_that_is_to_leave_at_once_overtakes_the_others(make_site):
    def consumer(message):
        Channel("a").send({"number": 1})
        Channel("a").send({"number": 2}, immediately=True)
        Group("b").send({"number": 3}, immediately=True)
        assert site.received("b") == [{"number": 3}]

    site = make_site([route("trigger", consumer)])
    Group("b").add("b")
    trigger(site)

    assert site.received("a") == [{"number": 2}, {"number": 1}]


def test_what_is_sent_is_what_it_was_when_it_was_sent(make_site):
    def consumer(message):
        content = {"list": [1]}
        Channel("a").send(content)
        content["list"].append(2)

    site = make_site([route("trigger", consumer)])
    trigger(site)

    assert site.received("a") == [{"list": [1]}]


def test_sends_to_several_layers_reach_each_of_them(make_site):
    def consumer(message):
        Channel("a").send({"layer": 1})
        Channel("a", alias="second").send({"layer": 2})

    site, second = make_site([route("trigger", consumer)]), make_site(alias="second")
    trigger(site)

    assert site.received("a") == [{"layer": 1}]
    assert second.received("a") == [{"layer": 2}]


def test_a_layer_that_fails_does_not_cost_another_its_sends(make_site, caplog):
    class FailingLayer(InMemoryChannelLayer):
        def send_many(self, batch):
            raise ConnectionError("the broker is gone")

    def consumer(message):
        Channel("a", alias="failing").send({})
        Channel("a").send({"layer": 1})

    make_site(alias="failing", layer=FailingLayer())
    site = make_site([route("trigger", consumer)])
    trigger(site)

    assert site.received("a") == [{"layer": 1}]
    assert "the broker is gone" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_what_a_consumer_sends_leaves_after_its_transaction(make_site):
    found = []

    def save(message):
        with transaction.atomic():
            Channel("look").send({"key": "abc"})
            Session.objects.create(session_key="abc", session_data="", expire_date="2100-01-01T00:00Z")
            found.append(site.received("look"))

    def look(message):
        found.append(Session.objects.filter(pk=message["key"]).exists())

    site = make_site([route("save", save), route("look", look)])
    site.consume("save")

    assert found == [[], True]


def test_held_sends_belong_to_one_consumer(make_site):
    layer = make_site().layer
    with hold_sends() as outer:
        Channel("a").send({"number": 1})
        with hold_sends() as inner:
            Channel("b").send({"number": 2})
        assert held_sends() is outer

    assert held_sends() is None
    assert (outer.has("a"), outer.has("b")) == (True, False)
    assert (inner.has("a"), inner.has("b")) == (False, True)
    assert layer.receive(["a", "b"]) == (None, None)


def test_held_sends_to_one_channel_can_be_forgotten(make_site):
    site = make_site()
    with hold_sends() as held:
        Channel("a").send({"number": 1})
        Channel("b").send({"number": 2})
    held.discard("a")

    assert [(layer, [send.name for send in batch]) for layer, batch in held.take()] == [(site.layer, ["b"])]
    assert held.take() == []
