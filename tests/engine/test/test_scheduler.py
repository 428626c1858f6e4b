import threading
import time

import pytest
from django.contrib.auth.models import Group as UserGroup
from django.db import transaction
from django.db.models import F

from channels import Channel, ConsumeLater, Group, channel_layers, route
from channels.sessions import channel_session, enforce_ordering
from channels.test import interruptions
from channels.test.scheduler import Scheduler


@pytest.fixture
def counter(db):
    """A row with a number in it."""
    return UserGroup.objects.create(name="0")


def count(message):
    """Read a number and write the next one, as one should not."""
    counter = UserGroup.objects.get()
    counter.name = str(int(counter.name) + 1)
    counter.save()


def echo(message):
    data = {key: message[key] for key in ("text", "bytes") if key in message}
    message.reply_channel.send(data)


def accept_and_join(message):
    message.reply_channel.send({"accept": True})
    Group("room").add(message.reply_channel)


def broadcast(message):
    Group("room").send({"text": message["text"]})


def played(seed, routing, sockets=2, frames=1, **options):
    """Have some sockets send some frames each; return the scheduler at the end."""
    with Scheduler(seed, routing=routing, **options) as scheduler:
        for number in range(sockets):
            socket = scheduler.connect("/")
            for frame in range(frames):
                socket.send(f"{number}.{frame}")
        scheduler.run()
    return scheduler


# Orders


def test_a_socket_is_opened_and_answered():
    with Scheduler(routing=[route("websocket.receive", echo)]) as scheduler:
        socket = scheduler.connect("/")
        socket.send("a")
        socket.send(b"b")
        socket.send({"c": 1})
        before = socket.is_open
        scheduler.run()

    assert (before, socket.is_open, socket.close_code) == (False, True, None)
    assert socket.received() == ["a", b"b", '{"c": 1}']
    assert socket.received() == []


@pytest.mark.parametrize("seed", range(20))
def test_the_messages_of_one_socket_run_in_their_order(seed):
    scheduler = played(seed, [route("websocket.receive", echo)], frames=5, workers=3)

    assert [socket.frames for socket in scheduler.sockets] == [[f"{n}.{k}" for k in range(5)] for n in range(2)]


def test_those_of_different_sockets_run_in_any_order():
    orders = set()
    for seed in range(60):
        seen = []
        played(seed, [route("websocket.receive", lambda message, seen=seen: seen.append(message["text"]))], sockets=3)
        orders.add("".join(text[0] for text in seen))

    assert orders == {"012", "021", "102", "120", "201", "210"}


def test_one_channel_overtakes_another():
    firsts = set()
    for seed in range(20):
        seen = []
        with Scheduler(
            seed,
            routing=[route(name, lambda message, seen=seen: seen.append(str(message.channel))) for name in ("a", "b")],
        ) as scheduler:
            Channel("a").send({})
            Channel("b").send({})
            scheduler.run()
        firsts.add(seen[0])

    assert firsts == {"a", "b"}


def test_members_on_other_servers_hear_a_group_at_other_times():
    routing = [route("websocket.connect", accept_and_join), route("websocket.receive", broadcast)]
    alike = set()
    for seed in range(30):
        with Scheduler(seed, routing=routing, servers=2) as scheduler:
            sockets = [scheduler.connect("/", server=number) for number in (1, 2)]
            scheduler.run()
            sockets[0].send("a")
            while not sockets[0].frames:
                assert scheduler.step()
            alike.add(sockets[1].frames == ["a"])
            scheduler.run()
            assert sockets[1].frames == ["a"]

    assert alike == {True, False}


def test_the_same_seed_gives_the_same_story(counter):
    routing = [route("websocket.receive", count)]
    stories = [played(seed, routing, sockets=3).story for seed in (1, 1, 2)]

    assert stories[0] == stories[1] != stories[2]


def test_an_order_can_be_chosen():
    seen = []
    with Scheduler(routing=[route("a", lambda message: seen.append(message["number"]))]) as scheduler:
        for number in range(2):
            Channel("a").send({"number": number})
        for step in ("worker 1 takes from a", "worker 2 takes from a", "worker 2", "worker 1"):
            scheduler.step(step)

    assert seen == [1, 0]


def test_a_step_that_there_is_not_is_told_with_those_that_there_are():
    with Scheduler(routing=[route("a", echo)]) as scheduler:
        Channel("a").send({})

        with pytest.raises(LookupError, match=r"'worker 2'.*'worker 1 takes from a'"):
            scheduler.step("worker 2")


def test_a_function_may_choose():
    with Scheduler(choose=lambda steps: steps[-1], routing=[route("websocket.receive", echo)]) as scheduler:
        socket = scheduler.connect("/")
        socket.send("a")
        scheduler.run()

    assert socket.frames == ["a"]


# Races


def lost_updates(consumer, counter, seeds, **options):
    """Return the seeds with which a counter has not counted all."""
    lost = []
    for seed in seeds:
        UserGroup.objects.update(name="0")
        played(seed, [route("websocket.receive", consumer)], **options)
        if UserGroup.objects.get().name != "2":
            lost.append(seed)
    return lost


def test_a_lost_update_is_found_within_few_seeds_and_again_with_the_same(counter):
    lost = lost_updates(count, counter, range(20))

    assert lost
    assert lost_updates(count, counter, lost) == lost


def test_a_counter_that_counts_in_one_query_or_transaction_loses_nothing(counter):
    def count_in_transaction(message):
        with transaction.atomic():
            UserGroup.objects.select_for_update().get()
            count(message)

    def count_in_query(message):
        UserGroup.objects.update(name=F("name") + 1)

    assert lost_updates(count_in_transaction, counter, range(20)) == []
    assert lost_updates(count_in_query, counter, range(20)) == []


@pytest.mark.parametrize(("width", "counted"), [(1, "2"), (2, "1")])
def test_so_is_one_in_the_session_of_a_socket_with_several_messages_under_way(width, counted):
    def accept(message):
        message.reply_channel.send({"accept": True, "messages_under_way": width})

    @channel_session
    def count_in_session(message):
        message.channel_session["seen"] = message.channel_session.get("seen", 0) + 1
        message.reply_channel.send({"text": str(message.channel_session["seen"])})

    routing = [route("websocket.connect", accept), route("websocket.receive", count_in_session)]
    last = {max(played(seed, routing, sockets=1, frames=2).sockets[0].frames) for seed in range(20)}

    assert last == {counted}


def test_what_is_sent_at_once_may_be_seen_before_the_consumer_goes_on():
    seen = []

    def first(message):
        Channel("second").send({}, immediately=True)
        Group("room").add("somebody")
        seen.append("first")

    routing = [route("first", first), route("second", lambda message: seen.append("second"))]
    for seed in range(20):
        with Scheduler(seed, routing=routing) as scheduler:
            Channel("first").send({})
            scheduler.run()

    assert {tuple(seen[n : n + 2]) for n in range(0, 40, 2)} == {("first", "second"), ("second", "first")}


def test_a_transaction_is_one_step(counter):
    def fill(message):
        with transaction.atomic():
            for _ in range(3):
                UserGroup.objects.create(name=f"{message['number']}-{UserGroup.objects.count()}")

    for seed in range(10):
        with Scheduler(seed, routing=[route("fill", fill)]) as scheduler:
            for number in range(2):
                Channel("fill").send({"number": number})
            scheduler.run()
        numbers = [name[0] for name in UserGroup.objects.order_by("pk").values_list("name", flat=True)[1:]]
        UserGroup.objects.exclude(pk=counter.pk).delete()

        assert "".join(numbers) in {"000111", "111000"}


def test_what_waits_for_a_commit_is_done_although_the_test_rolls_back(counter):
    def save(message):
        with transaction.atomic():
            transaction.on_commit(lambda: message.reply_channel.send({"text": "committed"}))
            UserGroup.objects.update(name="1")

    scheduler = played(0, [route("websocket.receive", save)], sockets=1)

    assert scheduler.sockets[0].frames == ["committed"]


def test_what_waits_for_a_commit_is_done_in_its_order_whoever_is_overtaken_meanwhile(counter):
    def save(message):
        def look_and_say():
            message.reply_channel.send({"text": UserGroup.objects.get().name})

        with transaction.atomic():
            transaction.on_commit(look_and_say)
            transaction.on_commit(lambda: message.reply_channel.send({"text": "then"}))
            UserGroup.objects.update(name="1")

    for seed in range(5):
        scheduler = played(seed, [route("websocket.receive", save)])

        assert [socket.frames for socket in scheduler.sockets] == [["1", "then"]] * 2


def test_what_is_rolled_back_is_not(counter):
    def fail(message):
        with transaction.atomic():
            transaction.on_commit(lambda: message.reply_channel.send({"text": "committed"}))
            UserGroup.objects.update(name="1")
            raise ValueError

    scheduler = played(0, [route("websocket.receive", fail)], sockets=1)

    assert scheduler.sockets[0].frames == []
    assert UserGroup.objects.get().name == "0"


def test_a_consumer_that_waits_for_what_another_has_is_shown(monkeypatch, counter):
    monkeypatch.setattr(interruptions, "PATIENCE", 0.5)
    layer, lock = channel_layers["default"], threading.Lock()

    def hold(message):
        with lock:
            count(message)

    with (
        pytest.raises(RuntimeError, match=r"worker 2 with a .*\n(.*\n)*.*in hold"),
        Scheduler(routing=[route("a", hold)]) as scheduler,
    ):
        for _ in range(2):
            Channel("a").send({})
        for step in ("worker 1 takes", "worker 1 runs", "worker 2 takes", "worker 2 runs"):
            scheduler.step(step)

    assert channel_layers["default"] is layer
    assert not lock.locked()


# Virtual time


def test_a_message_expires_without_a_wait():
    seen = []
    began = time.monotonic()
    with Scheduler(routing=[route("a", lambda message: seen.append(message["number"]))], expiry=600) as scheduler:
        Channel("a").send({"number": 1})
        scheduler.advance(599)
        Channel("a").send({"number": 2})
        scheduler.advance(2)
        scheduler.run()

    assert seen == [2]
    assert time.monotonic() - began < 5


def test_workers_are_there_however_much_time_has_passed():
    accept = route("websocket.connect", lambda message: message.reply_channel.send({"accept": True}))
    with Scheduler(routing=[accept], servers=2) as scheduler:
        scheduler.advance(60)
        sockets = [scheduler.connect("/", server=number) for number in (1, 2)]
        scheduler.run()

    assert [socket.is_open for socket in sockets] == [True, True]


def test_a_socket_that_nobody_answers_is_rejected_in_time():
    with Scheduler(routing=[route("websocket.connect", lambda message: None)]) as scheduler:
        began = scheduler.clock.now
        socket = scheduler.connect("/")
        scheduler.run()

    assert (socket.is_open, socket.close_code) == (False, 1000)
    assert scheduler.clock.now - began == pytest.approx(5)


@pytest.mark.parametrize(("consumer", "is_open"), [(enforce_ordering(echo), False), (echo, True)])
def test_a_message_that_is_lost_with_its_worker_is_missed_in_time(consumer, is_open):
    def accept(message):
        message.reply_channel.send({"accept": True})

    connect = enforce_ordering(accept) if consumer is not echo else accept
    routing = [route("websocket.connect", connect), route("websocket.receive", consumer)]
    with Scheduler(routing=routing) as scheduler:
        socket = scheduler.connect("/")
        scheduler.run()
        began = scheduler.clock.now
        for text in "ab":
            socket.send(text)
        while "websocket.receive" not in scheduler.layer.waiting(["websocket.receive"]):
            scheduler.step()
        scheduler.layer.forget(scheduler.layer.take(["websocket.receive"]))
        scheduler.run()

    assert (socket.is_open, socket.close_code) == (is_open, None if is_open else 1013)
    assert socket.frames == (["b"] if is_open else [])
    assert 5 < scheduler.clock.now - began < 15


def test_what_a_full_channel_refuses_is_sent_when_there_is_room_and_given_up_in_time():
    def fill(message):
        for _ in range(3):
            Channel("full").send({})

    with Scheduler(routing=[route("fill", fill)], channel_capacity={"full": 1}) as scheduler:
        Channel("fill").send({})
        scheduler.run()
        figures = scheduler.layer.channel_statistics("full")

    assert (figures["messages_pending"], figures["dropped"]) == (1, {"full": 2})


def test_a_message_is_put_back_ten_times():
    runs = []

    def later(message):
        runs.append(1)
        raise ConsumeLater

    with Scheduler(routing=[route("a", later)]) as scheduler:
        Channel("a").send({})
        scheduler.run()

    assert len(runs) == 11


# Delayed messages


@pytest.fixture
def delay(settings):
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "channels.delay"]


def remember(seen):
    return [
        route("first", lambda message: Channel("second").send(message.content, delay=3600)),
        route("second", lambda message: seen.append(message["number"])),
    ]


def test_a_delayed_message_comes_when_its_time_has_come(delay):
    seen, times = [], []
    with Scheduler(routing=remember(seen)) as scheduler:
        Channel("first").send({"number": 1})
        for seconds in (0, 3599, 1):
            scheduler.run(seconds)
            times.append(list(seen))

    assert times == [[], [], [1]]


@pytest.mark.parametrize(("capacity", "order"), [(100, [1, 2, 3, 0]), (1, [1, 3, 0, 2])])
def test_delayed_messages_come_in_the_order_of_their_times_unless_there_is_no_room(delay, capacity, order):
    seen = []
    with Scheduler(routing=remember(seen), capacity=capacity, choose=lambda steps: steps[0]) as scheduler:
        for number, seconds in enumerate((3, 1, 1, 2)):
            Channel("second").send({"number": number}, delay=seconds)
            scheduler.run()
        scheduler.run(10)

    assert seen == order


def test_a_malformed_delayed_message_is_dropped_and_counted():
    with Scheduler(routing=[]) as scheduler:
        Channel("asgi.delay").send({})
        scheduler.run(10)

        assert scheduler.layer.channel_statistics("asgi.delay")["dropped"] == {"malformed": 1}


# The end


def test_a_browser_leaves_after_what_it_has_said_and_its_disconnect_message_comes_last():
    seen = []
    names = ("websocket.receive", "websocket.disconnect")
    with Scheduler(routing=[route(name, lambda message: seen.append(message["order"])) for name in names]) as scheduler:
        socket = scheduler.connect("/")
        for text in "abc":
            socket.send(text)
        socket.close(1001)
        scheduler.run()

    assert seen == [1, 2, 3, 4]
    assert socket.close_code == 1001


def test_consumers_that_call_each_other_for_ever_are_told_of(monkeypatch):
    monkeypatch.setattr("channels.test.scheduler.MOST_STEPS", 500)
    with (
        pytest.raises(RuntimeError, match="not come to rest after 500 steps"),
        Scheduler(routing=[route("a", lambda message: Channel("a").send({}))]) as scheduler,
    ):
        Channel("a").send({})
        scheduler.run()


def test_a_failure_tells_what_had_happened(counter):
    with pytest.raises(AssertionError) as failure, Scheduler(7, routing=[route("a", count)]) as scheduler:
        Channel("a").send({})
        scheduler.run()
        raise AssertionError

    [note] = failure.value.__notes__
    assert "seed 7" in note
    assert "worker 1 takes from a" in note
    assert "asks the database UPDATE" in note


def test_everything_is_as_before_when_it_ends(counter):
    layer, threads = channel_layers["default"], threading.active_count()
    with Scheduler(routing=[route("a", count)]) as scheduler:
        within = channel_layers["default"]
        Channel("a").send({})
        while not scheduler._workers[0].steps() or "database" not in str(scheduler._workers[0].steps()[0]):
            scheduler.step()

    assert within is not layer
    assert channel_layers["default"] is layer
    assert threading.active_count() == threads
    assert UserGroup.objects.get().name == "0", "what was in the middle of something does no more"
