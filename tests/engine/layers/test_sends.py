import asyncio
import contextvars
import threading
import time

import pytest
from asgiref.sync import sync_to_async
from django.contrib.sessions.models import Session
from django.db import transaction
from django.http import HttpResponse
from django.urls import path

from channels import Channel, Group, channel_layers, route
from channels.layers.base import Ticket
from channels.layers.inmemory import InMemoryChannelLayer
from channels.layers.origin import Origin
from channels.layers.sends import HeldSends, held_sends


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
    assert layer.batches[1] == [("a", {"number": 1}), ("b", {"number": 2}), ("a", {"number": 3})]


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


# Asynchronous code, tasks and threads


@pytest.fixture
def background():
    """Give an event loop that runs in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


async def asynchronous_view(request):
    Channel("a").send({"number": 1})
    await asyncio.sleep(0)
    await sync_to_async(Channel("a").send)({"number": 2})
    await asyncio.to_thread(Channel("a").send, {"number": 3})
    await asyncio.gather(sending(4), asyncio.create_task(sending(5)))
    Channel("at.once").send({}, immediately=True)
    Channel("b").send({"waiting": channel_layers["default"].channel_statistics("a")["messages_pending"]})
    return HttpResponse("Hello")


urlpatterns = [path("view/", asynchronous_view)]


async def sending(number):
    await asyncio.sleep(0)
    Channel("a").send({"number": number})


def test_what_asynchronous_code_sends_leaves_with_the_rest(make_site, settings):
    settings.ROOT_URLCONF, settings.MIDDLEWARE = __name__, []
    layer = RecordingLayer()
    site = make_site(layer=layer, default_routes=True)
    [reply] = site.request("/view/")

    assert reply["content"] == b"Hello"
    assert site.received("b") == [{"waiting": 0}]
    assert [content["number"] for content in site.received("a")] in ([1, 2, 3, 4, 5], [1, 2, 3, 5, 4])
    immediate, last = layer.batches[1:3]
    assert immediate == [("at.once", {})]
    assert [name for name, _ in last] == ["a", "a", "a", "a", "a", "b", site.reply_channel]


def test_a_task_that_outlives_its_consumer_sends_at_once(make_site, background):
    begun, ended, tasks, found = threading.Event(), threading.Event(), [], []

    async def outlive():
        Channel("a").send({"number": 1})
        begun.set()
        await asyncio.to_thread(ended.wait, 30)
        Channel("a").send({"number": 2})
        Group("b").send({"number": 3})

    def consumer(message):
        tasks.append(asyncio.run_coroutine_threadsafe(outlive(), background))
        assert begun.wait(30)
        found.append(site.received("a"))

    site = make_site([route("trigger", consumer)])
    Group("b").add("b")
    trigger(site)
    found.append(site.received("a"))
    ended.set()
    tasks[0].result(30)

    assert found == [[], [{"number": 1}]]
    assert site.received("a") == [{"number": 2}]
    assert site.received("b") == [{"number": 3}]


def test_a_thread_with_the_context_of_its_consumer_sends_at_once_when_that_has_ended(make_site):
    ended, threads = threading.Event(), []

    def outlive():
        assert ended.wait(30)
        Channel("a").send({"number": 1})

    def consumer(message):
        threads.append(threading.Thread(target=contextvars.copy_context().run, args=[outlive]))
        threads[0].start()

    site = make_site([route("trigger", consumer)])
    trigger(site)
    ended.set()
    threads[0].join()

    assert site.received("a") == [{"number": 1}]


def test_any_other_thread_sends_at_once(make_site):
    def consumer(message):
        thread = threading.Thread(target=Channel("a").send, args=[{"number": 1}])
        thread.start()
        thread.join()
        assert site.received("a") == [{"number": 1}]
        Channel("b").send({})

    site = make_site([route("trigger", consumer)])
    trigger(site)

    assert site.received("b") == [{}]


def test_nothing_is_lost_of_what_threads_send_while_their_consumer_ends(make_site):
    threads = []

    def outlive(name):
        for number in range(2000):
            Channel(name).send({"number": number})

    def consumer(message):
        for name in ("a", "b"):
            threads.append(threading.Thread(target=contextvars.copy_context().run, args=[outlive, name]))
            threads[-1].start()
        time.sleep(0.002)

    site = make_site([route("trigger", consumer)], capacity=5000)
    trigger(site)
    for thread in threads:
        thread.join()

    for name in ("a", "b"):
        assert sorted(content["number"] for content in site.received(name)) == list(range(2000))


def test_held_sends_belong_to_one_consumer(make_site):
    layer = make_site().layer
    with HeldSends() as outer:
        Channel("a").send({"number": 1})
        with HeldSends() as inner:
            Channel("b").send({"number": 2})
        assert held_sends() is outer

    assert held_sends() is None
    assert (outer.has("a"), outer.has("b")) == (True, False)
    assert (inner.has("a"), inner.has("b")) == (False, True)
    assert layer.receive(["a", "b"]) == (None, None)


def test_held_sends_to_one_channel_can_be_forgotten(make_site):
    site = make_site()
    with HeldSends() as held:
        Channel("a").send({"number": 1})
        Channel("b").send({"number": 2})
    held.discard("a")

    assert [(layer, [send.name for send in batch]) for layer, batch in held.take()] == [
        (site.layer.channel_layer, ["b"])
    ]
    assert held.take() == []


# What goes with a send beside its content


def ticket_of(held, content, **options):
    """Return the ticket of the one message that is sent while sends are held for a connection."""
    with held:
        Channel("jobs", **options).send(content)
    [(_, [send])] = held.take()
    return send.ticket


def held_for(layer):
    return HeldSends(Origin(layer, "reply.x!1", Ticket(3, {"a": 1})))


def test_what_names_the_connection_brings_its_session_as_it_is_at_the_end_and_no_number(make_site):
    layer = make_site().layer.channel_layer
    held = held_for(layer)
    with held:
        Channel("jobs").send({"reply_channel": "reply.x!1"})
        held.origin.session = {"a": 2}
    [(_, [send])] = held.take()

    assert send.ticket == Ticket(None, {"a": 2})


@pytest.mark.parametrize("name", [None, "", "reply.x!2", ["reply.x!1"], b"reply.x!1", 1])
def test_what_names_another_one_or_none_brings_nothing(make_site, name):
    layer = make_site().layer.channel_layer

    assert ticket_of(held_for(layer), {"reply_channel": name}) is None


def test_neither_does_what_goes_over_another_layer_or_to_a_group_or_comes_from_nowhere(make_site):
    layer, content = make_site().layer.channel_layer, {"reply_channel": "reply.x!1"}
    make_site(alias="second")
    to_group = held_for(layer)
    with to_group:
        Group("jobs").send(content)
    [(_, [send])] = to_group.take()

    assert ticket_of(held_for(layer), content, alias="second") is None
    assert send.ticket is None
    assert ticket_of(HeldSends(), content) is None


def test_a_message_that_is_put_back_keeps_its_number(make_site):
    layer = make_site().layer.channel_layer
    held = held_for(layer)
    with held:
        held.hold(layer, layer.prepare("jobs", {}, ticket=held.origin.ticket_again()))
    [(_, [send])] = held.take()

    assert send.ticket == Ticket(3, {"a": 1})
