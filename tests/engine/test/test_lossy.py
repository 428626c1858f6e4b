import random

import pytest
from django.contrib.auth.models import Group as UserGroup

from channels import Channel, Group, route
from channels.layers.base import Ticket
from channels.sessions import enforce_ordering
from channels.test.lossy import Losses, LossyLayer
from channels.test.scheduler import Scheduler


def only(**chances):
    """Return losses of some kinds alone."""
    return Losses(**{"killed": 0, "lost": 0, "full": 0, "late": 0, **chances})


def accept_and_join(message):
    message.reply_channel.send({"accept": True})
    Group("room").add(message.reply_channel)


def broadcast(message):
    Group("room").send({"text": message["text"]})
    message.reply_channel.send({"text": message["text"]})


# The layer


def test_a_layer_without_losses_loses_nothing():
    layer = LossyLayer()
    for number in range(100):
        layer.send("jobs", {"number": number})

    assert [layer.receive(["jobs"])[1] for _ in range(100)] == [{"number": number} for number in range(100)]


def test_what_is_delivered_comes_once_and_in_its_order():
    layer = LossyLayer(only(lost=0.3), random.Random(1), capacity=1000)
    for number in range(1000):
        layer.send("jobs", {"number": number})
    received = [layer.receive(["jobs"])[1] for _ in range(1000)]
    numbers = [content["number"] for content in received if content]

    assert numbers == sorted(set(numbers))
    assert 600 < len(numbers) < 800
    assert layer.channel_statistics("jobs")["dropped"] == {"lost by chance": 1000 - len(numbers)}


def test_a_channel_that_is_full_by_chance_says_so_and_keeps_what_it_has():
    layer = LossyLayer(only(full=0.5), random.Random(1))
    taken = []
    for number in range(100):
        try:
            layer.send("jobs", {"number": number})
            taken.append(number)
        except layer.ChannelFull:
            pass
    layer.losses = only()

    assert 30 < len(taken) < 70
    assert [layer.receive(["jobs"])[1]["number"] for _ in taken] == taken


def test_memberships_are_never_lost():
    layer = LossyLayer(only(lost=1.0, full=1.0))
    for number in range(10):
        layer.group_add("room", f"reply.x!{number}")

    assert len(layer.group_channels("room")) == 10
    assert sum(entry.joins for entry in layer._take_entries("reply.x!")) == 10


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_message_that_is_lost_is_with_nobody(is_killed):
    layer = LossyLayer(only(lost=0.0 if is_killed else 1.0))
    content = {"reply_channel": "reply.x!1"}
    assert layer.send_many([layer.prepare("jobs", content, ticket=Ticket(7))]) == []
    delivery = layer.take(["jobs"])
    if is_killed:
        layer.forget(delivery)

    assert (delivery is None) is not is_killed
    assert layer._taken == set()


# A site with bad luck


def chat_with(losses, seed, sockets=3, frames=5, ordered=False):
    """Have some sockets say something to all of them; return the scheduler at the end."""
    decorate = enforce_ordering if ordered else lambda consumer: consumer
    routing = [
        route("websocket.connect", decorate(accept_and_join)),
        route("websocket.receive", decorate(broadcast)),
    ]
    with Scheduler(seed, workers=3, servers=2, losses=losses, routing=routing) as scheduler:
        for number in range(sockets):
            socket = scheduler.connect("/")
            for frame in range(frames):
                socket.send(f"{number}{frame}")
        scheduler.run()
    return scheduler


def dropped(scheduler):
    return set(scheduler.layer.global_statistics()["dropped"])


@pytest.mark.parametrize("seed", range(30))
def test_a_site_comes_to_rest_and_nothing_comes_twice_or_out_of_order(seed):
    scheduler = chat_with(Losses(), seed)

    for number, socket in enumerate(scheduler.sockets):
        assert socket.is_settled
        for other in range(3):
            said = [frame for frame in socket.frames if frame[0] == str(other)]
            # Whoever has said it hears it twice, as a member and as the one who is answered.
            heard = [*dict.fromkeys(said)]
            assert heard == sorted(heard)
            assert all(said.count(frame) <= 1 + (other == number) for frame in heard)


def test_a_socket_that_keeps_order_is_closed_when_a_message_is_lost_and_misses_none_silently():
    codes = set()
    for seed in range(20):
        for number, socket in enumerate(chat_with(only(killed=0.1), seed, ordered=True).sockets):
            codes.add(socket.close_code)
            if socket.close_code is None:
                own = [frame for frame in socket.frames if frame[0] == str(number)]
                assert own[::2] == own[1::2] == [f"{number}{frame}" for frame in range(5)]

    assert codes == {None, 1013, 1000}


@pytest.mark.parametrize(
    ("losses", "reason"),
    [
        (only(lost=0.2), "lost by chance"),
        (only(late=0.2), "expired"),
        (only(full=0.3), "full, group message"),
    ],
)
def test_each_kind_of_loss_happens(losses, reason):
    assert any(reason in dropped(chat_with(losses, seed)) for seed in range(5))


def test_a_killed_worker_has_done_any_part_of_its_work_from_the_beginning_on(db):
    def work(message):
        try:
            UserGroup.objects.create(name="1")
            UserGroup.objects.create(name="2")
            Channel("sent").send({"number": 1})
            Channel("sent").send({"number": 2})
        finally:
            UserGroup.objects.create(name="3")
            Channel("sent").send({"number": 3}, immediately=True)

    ends = set()
    for seed in range(150):
        with Scheduler(seed, losses=only(killed=0.2), routing=[route("work", work)]) as scheduler:
            Channel("work").send({})
            scheduler.run()
            saved = "".join(UserGroup.objects.order_by("name").values_list("name", flat=True))
            sent = []
            while content := scheduler.layer.receive(["sent"])[1]:
                sent.append(str(content["number"]))
            UserGroup.objects.all().delete()
        ends.add((saved, "".join(sent)))

    assert ends == {("", ""), ("1", ""), ("12", ""), ("123", ""), ("123", "3"), ("123", "31"), ("123", "312")}


def test_a_killed_worker_says_nothing(caplog, db):
    def work(message):
        UserGroup.objects.create(name="1")

    with Scheduler(losses=only(killed=1.0), routing=[route("work", work)]) as scheduler:
        Channel("work").send({})
        scheduler.run()

    assert caplog.text == ""
    assert "worker 1 is killed" in "\n".join(scheduler.story)


def test_losses_can_end():
    with Scheduler(losses=only(lost=1.0), routing=[]) as scheduler:
        lost = scheduler.connect("/")
        scheduler.run()
        scheduler.losses = only()
        fine = scheduler.connect("/")
        scheduler.run()

    assert (lost.is_open, fine.is_open) == (False, True)


def test_what_the_test_itself_sends_is_not_lost():
    with Scheduler(losses=only(full=1.0), routing=[]) as scheduler:
        Channel("work").send({})

        assert scheduler.layer.receive(["work"]) == ("work", {})


@pytest.mark.parametrize("seed", range(20))
def test_a_killed_worker_takes_along_what_it_could_not_tell_its_connections(seed):
    assert chat_with(only(killed=0.1, full=0.3), seed, ordered=True).is_at_rest
