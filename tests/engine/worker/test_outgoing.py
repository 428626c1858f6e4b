import asyncio
import contextlib
import logging
import time

import pytest

from channels import Channel, ConsumeLater, Group, route
from channels.exceptions import ChannelLayerUnavailable
from channels.layers import inmemory
from channels.layers.base import BaseChannelLayer, Finish, Ticket, UnderWay
from channels.layers.inmemory import InMemoryChannelLayer
from channels.test.process_queue import entries_there, read_entries
from channels.worker import WorkerGroup, outgoing

from ..sites import Socket


@pytest.fixture
def impatient(monkeypatch):
    """Give full channels up at once."""
    monkeypatch.setattr(outgoing, "FULL_TIMEOUT", 0.0)


@pytest.fixture
def work():
    """Return a function that has one worker thread work at a site; it stops at the end of the test."""
    groups = []

    def work(site):
        groups.append(WorkerGroup(site.layer, 1))
        groups[-1].start()
        return groups[-1]

    yield work
    for group in groups:
        group.stop(timeout=30)


@pytest.fixture
def clock(monkeypatch):
    """Give a clock that sleeping advances, and the pauses that were slept."""
    now, pauses = [1000.0], []

    def sleep(seconds):
        pauses.append(seconds)
        now[0] += seconds

    monkeypatch.setitem(BaseChannelLayer.__init__.__kwdefaults__, "clock", lambda: now[0])
    monkeypatch.setattr(outgoing.time, "sleep", sleep)
    return now, pauses


def numbers(contents):
    return [content["number"] for content in contents]


def receive(site, channel, count):
    """Take as many messages from a channel as they come."""
    return [site.layer.receive([channel], block=True, timeout=30)[1] for _ in range(count)]


# A worker goes on


def test_a_worker_whose_consumer_sends_to_a_full_channel_answers_others_within_milliseconds(make_site, work):
    site = make_site(
        [
            route("fill", lambda message: Channel("full").send({})),
            route("ask", lambda message: Channel("answers").send({})),
        ],
        channel_capacity={"full": 1},
    )
    site.layer.send("full", {})
    work(site)
    before = time.monotonic()
    for _ in range(10):
        site.layer.send("fill", {})
        site.layer.send("ask", {})
    receive(site, "answers", 10)

    assert time.monotonic() - before < outgoing.FULL_TIMEOUT / 2


def test_another_layer_that_is_full_does_not_stop_it_either(make_site, work):
    second = make_site(alias="second", channel_capacity={"full": 1})
    site = make_site(
        [
            route("fill", lambda message: Channel("full", alias="second").send({"number": 1})),
            route("ask", lambda message: Channel("answers").send({})),
        ]
    )
    second.layer.send("full", {"number": 0})
    work(site)
    before = time.monotonic()
    for _ in range(10):
        site.layer.send("fill", {})
        site.layer.send("ask", {})
    receive(site, "answers", 10)

    assert time.monotonic() - before < outgoing.FULL_TIMEOUT / 2
    assert numbers(receive(second, "full", 2)) == [0, 1]


def test_what_was_refused_leaves_soon_after_there_is_room_though_its_worker_has_nothing_else_to_do(make_site, work):
    site = make_site([route("fill", lambda message: Channel("full").send({"number": 1}))], channel_capacity={"full": 1})
    site.layer.send("full", {"number": 0})
    work(site)
    site.layer.send("fill", {})
    while not site.layer.channel_statistics("full")["channel_full_count"]:
        time.sleep(0.001)
    before = time.monotonic()

    assert numbers(receive(site, "full", 2)) == [0, 1]
    assert time.monotonic() - before < 1


def test_a_message_that_is_put_back_on_a_full_channel_does_not_stop_it(make_site, clock, monkeypatch):
    now, pauses = clock
    # The channel that is not full first.
    monkeypatch.setattr(inmemory.random, "random", lambda: 0.0)
    seen = []

    def later(message):
        seen.append(message["number"])
        if seen == [0]:
            # Others take its place.
            site.layer.send("later", {"number": 1})
            site.layer.send("ask", {})
            raise ConsumeLater

    site = make_site([route("later", later), route("ask", lambda message: seen.append("ask"))], capacity=1)
    site.layer.send("later", {"number": 0})
    for _ in range(5):
        site.worker._turn(0.0)
        now[0] += 0.1

    assert seen == [0, "ask", 1, 0]
    assert pauses == []


def test_a_message_of_a_lane_is_not_put_back_when_its_connection_may_have_gone_on_without_it(make_site, clock):
    now, _ = clock

    def later(message):
        # Others take its place, and the next of them takes its time.
        site.layer.send("others", {})
        site.layer.send("receive", {})
        raise ConsumeLater

    def take_fifty_seconds(message):
        now[0] += 50
        site.layer.receive(["receive"])

    site = make_site([route("receive", later), route("others", take_fifty_seconds)], capacity=1)
    site.worker.channels = ["receive"]
    put(site, 7)
    site.worker._turn(0.0)
    site.worker.channels = ["others"]
    for _ in range(2):
        site.worker._turn(0.0)

    assert site.layer.channel_statistics("receive")["messages_pending"] == 0
    assert site.layer.channel_statistics("receive")["dropped"] == {"full": 1}


def test_a_layer_that_is_away_gets_what_was_sent_when_it_is_back(make_site, work):
    class AwayForAWhile(InMemoryChannelLayer):
        failures = 3

        def send_many(self, batch):
            batch = list(batch)
            if self.failures and any(send.name == "a" for send in batch):
                self.failures -= 1
                raise ChannelLayerUnavailable("away")
            return super().send_many(batch)

    site = make_site([route("trigger", lambda message: Channel("a").send(message.content))], layer=AwayForAWhile())
    work(site)
    site.layer.send("trigger", {"number": 1})

    assert numbers(receive(site, "a", 1)) == [1]


# Order


def test_what_a_full_channel_refuses_is_tried_again_in_its_order(make_site, monkeypatch):
    def consumer(message):
        for number in range(5):
            Channel("a").send({"number": number})

    site, found = make_site([route("trigger", consumer)], capacity=2), []
    monkeypatch.setattr(outgoing.time, "sleep", lambda seconds: found.extend(site.received("a")))
    site.consume("trigger")

    assert [content["number"] for content in found + site.received("a")] == [0, 1, 2, 3, 4]


def test_nothing_overtakes_what_was_refused_on_the_same_channel(make_site, clock, monkeypatch):
    monkeypatch.setattr(outgoing, "FULL_TIMEOUT", 60)
    now, _ = clock

    def fill(message):
        Channel("full").send(message.content)
        Channel("free").send(message.content)

    site = make_site([route("fill", fill)], channel_capacity={"full": 2})
    found, free = [], []
    for number in range(60):
        site.layer.send("fill", {"number": number})
        site.worker._turn(0.0)
        free += site.received("free")
        now[0] += 0.001
        if number % 3 == 0:
            found += site.received("full")
    for _ in range(100):
        now[0] += 0.1
        site.worker._turn(0.0)
        found += site.received("full")

    assert numbers(found) == list(range(60))
    assert len(free) == 59, "they wait for nothing but the next turn"


def test_a_group_does_not_overtake_it_either(make_site, clock, monkeypatch):
    monkeypatch.setattr(outgoing, "FULL_TIMEOUT", 60)
    now, _ = clock

    def fill(message):
        Channel("reply.x!1").send({"number": message["number"]})
        Group("all").send({"number": message["number"] + 1})

    site = make_site([route("fill", fill)], channel_capacity={"reply.x!": 3})
    Group("all").add("reply.x!1")
    found = []
    for number in range(0, 120, 2):
        site.layer.send("fill", {"number": number})
        site.worker._turn(0.0)
        if number % 7 == 0:
            found += numbers(site.received("reply.x!"))
    for _ in range(100):
        now[0] += 0.1
        site.worker._turn(0.0)
        found += numbers(site.received("reply.x!"))

    assert found == sorted(found)
    assert set(range(0, 120, 2)) <= set(found), "a group gives up what there is no room for, a channel waits"


# The end of patience


def test_what_stays_refused_is_logged_once_and_counted_and_the_worker_lives(make_site, impatient, caplog):
    runs = []

    def consumer(message):
        runs.append(message["number"])
        for _ in range(50):
            Channel("unread").send({})

    site = make_site([route("trigger", consumer)], channel_capacity={"unread": 10})
    for number in range(20):
        site.consume("trigger", number=number)

    assert runs == list(range(20))
    statistics = site.layer.channel_statistics("unread")
    assert statistics["messages_pending"] == 10
    assert statistics["dropped"] == {"full": 20 * 50 - 10}
    [warning] = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "channel unread dropped so far (full)" in warning.getMessage()
    assert "raise 'capacity' or 'channel_capacity'" in warning.getMessage()


def test_the_pauses_between_tries_grow_and_end_in_time(make_site, clock):
    _, pauses = clock
    site = make_site([route("trigger", lambda message: Channel("full").send({}))], channel_capacity={"full": 1})
    site.layer.send("full", {})
    site.consume("trigger")

    assert outgoing.FULL_TIMEOUT <= sum(pauses) < outgoing.FULL_TIMEOUT + 0.2
    assert pauses[0] <= 0.01
    assert max(pauses) <= 0.2
    assert len(pauses) < 30


def test_between_messages_it_is_given_up_in_time_too_each_for_itself(make_site, clock):
    now, pauses = clock
    site = make_site(
        [route("fill", lambda message: Channel("full").send(message.content))], channel_capacity={"full": 1}
    )
    site.layer.send("full", {})

    def dropped_after(seconds):
        now[0] += seconds
        site.worker._turn(0.0)
        return site.layer.channel_statistics("full")["dropped"].get("full", 0)

    site.layer.send("fill", {"number": 0})
    assert dropped_after(0) == dropped_after(0) == 0
    site.layer.send("fill", {"number": 1})
    # The second one stands behind the first from here on.
    assert dropped_after(outgoing.FULL_TIMEOUT - 0.5) == dropped_after(0) == 0
    assert dropped_after(0.6) == 1
    assert dropped_after(outgoing.FULL_TIMEOUT - 0.5) == 2
    assert pauses == []
    assert site.worker._outgoing.limited(10) == 10


def test_a_worker_that_stops_waits_for_room_as_long_as_ever(make_site, work):
    site = make_site([route("fill", lambda message: Channel("full").send({"number": 1}))], channel_capacity={"full": 1})
    site.layer.send("full", {"number": 0})
    group = work(site)
    site.layer.send("fill", {})
    while not site.layer.channel_statistics("full")["channel_full_count"]:
        time.sleep(0.001)
    group.begin_stop()
    time.sleep(0.3)

    assert numbers(receive(site, "full", 2)) == [0, 1]
    assert group.join(timeout=30)


def test_a_worker_that_stops_does_not_wait_longer_than_that(make_site, work, monkeypatch):
    monkeypatch.setattr(outgoing, "FULL_TIMEOUT", 0.1)
    site = make_site([route("fill", lambda message: Channel("full").send({}))], channel_capacity={"full": 1})
    site.layer.send("full", {})
    site.layer.send("fill", {})
    group = work(site)
    while not site.layer.channel_statistics("full")["channel_full_count"]:
        time.sleep(0.001)

    assert group.stop(timeout=1.5)
    assert site.layer.channel_statistics("full")["dropped"] == {"full": 1}


def test_a_layer_that_stays_away_is_given_up_and_what_was_sent_is_counted(make_site, clock):
    class Away(InMemoryChannelLayer):
        def send_many(self, batch):
            raise ChannelLayerUnavailable("away")

    second = make_site(alias="second", layer=Away())
    site = make_site([route("trigger", lambda message: Channel("a", alias="second").send({}))])
    site.consume("trigger")

    assert second.layer.channel_statistics("a")["dropped"] == {"the layer is not available": 1}
    assert outgoing.FULL_TIMEOUT <= sum(clock[1]) < outgoing.FULL_TIMEOUT + 0.2


def test_what_may_have_been_sent_all_the_same_is_not_sent_again(make_site, clock):
    class Broken(InMemoryChannelLayer):
        def send_many(self, batch):
            raise ChannelLayerUnavailable("broken", uncertain=True)

    second = make_site(alias="second", layer=Broken())
    site = make_site([route("trigger", lambda message: Channel("a", alias="second").send({}))])
    site.consume("trigger")

    assert second.layer.channel_statistics("a")["dropped"] == {"uncertain": 1}
    assert clock[1] == []


def test_a_worker_for_which_far_too_much_waits_sees_to_that_first(make_site, clock, monkeypatch):
    monkeypatch.setattr(outgoing, "MOST_WAITING", 5)
    _, pauses = clock

    def fill(message):
        for _ in range(3):
            Channel("full").send({})

    site = make_site([route("fill", fill)], channel_capacity={"full": 1})
    site.layer.send("full", {})
    for _ in range(3):
        site.layer.send("fill", {})
    for _ in range(3):
        site.worker._turn(0.0)
    assert pauses == []
    site.worker._turn(0.0)

    assert site.layer.channel_statistics("full")["dropped"] == {"full": 9}
    assert sum(pauses) >= outgoing.FULL_TIMEOUT


# What tells a connection that its message is done


REPLY = "reply.x!1"


def put(site, number, session=None):
    """Put a message of a socket on the layer."""
    content = {"reply_channel": REPLY, "number": number}
    assert site.layer.send_many([site.layer.prepare("receive", content, ticket=Ticket(number, session or {}))]) == []


def entries(layer):
    """Return what waits for the socket: content and finish of each entry."""
    return [(entry.content, entry.finish) for entry in asyncio.run(entries_there(layer, "reply.x!"))]


def echo(message):
    message.reply_channel.send({"number": message["number"]})


def test_it_comes_with_the_last_reply_in_one_entry(make_site):
    def twice(message):
        echo(message)
        echo(message)
        Group("all").send({"to": "all"})

    site = make_site([route("receive", twice)])
    Group("all").add(REPLY)
    entries(site.layer)
    put(site, 7)
    site.work()

    assert entries(site.layer) == [({"number": 7}, None), ({"number": 7}, Finish(7)), ({"to": "all"}, None)]


def test_it_comes_alone_where_there_is_no_reply_and_after_one_that_has_left_at_once(make_site):
    def at_once(message):
        if message["number"] == 2:
            message.reply_channel.send({}, immediately=True)
        Channel("reply.x!2").send({})

    site = make_site([route("receive", at_once)])
    put(site, 1)
    put(site, 2)
    site.work()

    assert entries(site.layer) == [({}, None), (None, Finish(1)), ({}, None), ({}, None), (None, Finish(2))]


def test_a_message_stays_with_its_worker_until_its_connection_could_be_told(make_site, clock):
    now, _ = clock
    site = make_site([route("receive", echo)], channel_capacity={"reply.x!": 1})
    site.layer.send("reply.x!2", {})
    put(site, 7)
    for _ in range(2):
        site.worker._turn(0.0)
    before = site.worker.has()
    asyncio.run(site.layer.read_queue("reply.x!"))
    now[0] += 1
    site.worker._turn(0.0)

    assert (before, site.worker.has()) == ([UnderWay(REPLY, REPLY, 7)], [])
    assert entries(site.layer) == [({"number": 7}, Finish(7))]


def test_it_is_told_where_the_reply_has_no_room_and_told_alone_when_that_is_given_up(make_site, clock):
    now, _ = clock
    site = make_site([route("receive", echo)], channel_capacity={"reply.x!": 2})
    for _ in range(2):
        site.layer.send("reply.x!2", {})
    put(site, 7)
    for _ in range(20):
        site.worker._turn(0.0)
        now[0] += outgoing.FULL_TIMEOUT
    dropped = site.layer.channel_statistics(REPLY)["dropped"]
    before = asyncio.run(site.layer.read_queue("reply.x!"))
    site.worker._turn(0.0)

    assert dropped == {"full": 1}
    assert [entry.finish for entry in before] == [None, None]
    assert entries(site.layer) == [(None, Finish(7))]


class Away(InMemoryChannelLayer):
    """Takes nothing for a reply channel while it is ``away``, which may be ``uncertain``: then it may have."""

    away, uncertain = True, False

    def send_many(self, batch):
        batch = list(batch)
        if self.away and any(send.name.startswith("reply.") for send in batch):
            if self.uncertain:
                super().send_many(batch)
            raise ChannelLayerUnavailable("away", uncertain=self.uncertain)
        return super().send_many(batch)


def test_it_is_told_after_an_outage_however_long_that_was(make_site, clock):
    now, _ = clock
    layer = Away()
    site = make_site([route("receive", echo)], layer=layer)
    put(site, 7, {"a": 1})
    for _ in range(30):
        with contextlib.suppress(ChannelLayerUnavailable):
            site.worker._turn(0.0)
        now[0] += 1
    layer.away = False
    site.worker._turn(0.0)

    assert entries(layer) == [(None, Finish(7))]
    assert layer.channel_statistics(REPLY)["dropped"] == {"the layer is not available": 1}


def test_after_an_outage_of_five_seconds_a_worker_tells_it(make_site, work):
    layer = Away()
    site = make_site([route("receive", echo)], layer=layer)
    work(site)
    put(site, 7)
    time.sleep(5)
    layer.away = False
    [entry] = asyncio.run(read_entries(layer, "reply.x!", 1))

    assert entry.finish == Finish(7)


def test_it_is_told_again_without_the_reply_where_that_may_have_left(make_site, clock):
    now, _ = clock
    layer = Away()
    layer.uncertain = True
    site = make_site([route("receive", echo)], layer=layer)
    put(site, 7)
    site.worker._turn(0.0)
    with pytest.raises(ChannelLayerUnavailable):
        site.worker._turn(0.0)
    now[0] += 1
    layer.away = False
    site.worker._turn(0.0)

    assert entries(layer) == [({"number": 7}, Finish(7)), (None, Finish(7))]
    assert layer.channel_statistics(REPLY)["dropped"] == {"uncertain": 1}


def test_one_that_is_told_alone_is_no_message_that_could_be_lost(make_site, clock):
    layer = Away()
    layer.uncertain = True
    site = make_site([route("receive", lambda message: None)], layer=layer)
    put(site, 7)
    site.worker._turn(0.0)
    with pytest.raises(ChannelLayerUnavailable):
        site.worker._turn(0.0)

    assert layer.channel_statistics(REPLY)["dropped"] == {}


def test_a_message_that_finds_no_room_to_be_put_back_is_counted_and_its_socket_was_told_that_it_comes(make_site, clock):
    now, _ = clock

    def later(message):
        site.layer.send("receive", {"in": "its place"})
        raise ConsumeLater

    site = make_site([route("receive", later)], channel_capacity={"receive": 1})
    put(site, 7)
    site.worker._turn(0.0)
    site.worker.channels = []
    for _ in range(3):
        site.worker._turn(0.0)
        now[0] += outgoing.FULL_TIMEOUT
    lost = asyncio.run(site.layer.find_lost([UnderWay("receive", REPLY, 7)]))

    assert entries(site.layer) == [(None, Finish(7, comes_again=True))]
    assert site.layer.channel_statistics("receive")["dropped"] == {"full": 1}
    assert lost == [UnderWay("receive", REPLY, 7)]


def test_a_failure_that_nobody_expects_does_not_keep_a_connection_from_being_told(make_site, caplog):
    class Failing(InMemoryChannelLayer):
        fails = True

        def send_and_take(self, *arguments):
            if self.fails and arguments[0]:
                self.fails = False
                raise RuntimeError("odd")
            return super().send_and_take(*arguments)

    def consumer(message):
        message.reply_channel.send({"text": "answer"})

    site = make_site([route("websocket.receive", consumer)], layer=Failing())
    socket = Socket(site)
    socket.put("websocket.receive", text="x")
    with pytest.raises(RuntimeError):
        site.worker.step()
    site.worker.step()

    assert socket.received() == []
    assert [finish.number for _, finish in site.finishes] == [0]
    assert "1 message(s) of a consumer are lost" in caplog.text
