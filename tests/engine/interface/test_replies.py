"""The process queue: replies and broadcasts find their connections, the dead leave their groups."""

import asyncio

import pytest

from channels.exceptions import ChannelLayerUnavailable
from channels.interface.lease import LeaseKeeper
from channels.interface.replies import Replies
from channels.layers.base import Entry
from channels.layers.inmemory import InMemoryChannelLayer
from channels.names import local_part

from .simulated_time import settle


class Connection:
    """Writes down what it is given."""

    def __init__(self, fails=False):
        self.taken = []
        self.fails = fails

    def reply(self, content):
        self.take("reply", content)

    def broadcast(self, content):
        self.take("broadcast", content)

    def take_will(self, again):
        return None

    def take(self, kind, content):
        if self.fails:
            raise RuntimeError("This connection is broken.")
        self.taken.append((kind, content))


class Reader:
    """A process queue that is being read."""

    def __init__(self, **options):
        self.layer = InMemoryChannelLayer(clock=asyncio.get_running_loop().time, **options)
        self.replies = Replies(self.layer)
        self.lease = LeaseKeeper(self.layer, self.replies, on_lost=None)
        self.tasks = [asyncio.create_task(self.replies.read()), asyncio.create_task(self.lease.keep())]

    def connect(self, *groups, fails=False):
        connection, channel = Connection(fails), self.replies.new_channel()
        self.replies.register(channel, connection)
        for group in groups:
            self.layer.group_add(group, channel)
        return connection, channel


async def test_a_reply_reaches_its_connection_and_nobody_else():
    reader = Reader()
    (first, channel), (second, _) = reader.connect(), reader.connect()

    reader.layer.send(channel, {"text": "1"})
    reader.layer.send(channel, {"text": "2"})
    await settle()

    assert first.taken == [("reply", {"text": "1"}), ("reply", {"text": "2"})]
    assert second.taken == []


def test_reply_channels_are_long_and_never_the_same():
    replies = Replies(InMemoryChannelLayer())
    channels = {replies.new_channel() for _ in range(1000)}

    assert len(channels) == 1000
    assert {channel[: len(replies.queue)] for channel in channels} == {replies.queue}
    # 96 random bits in base64: nobody can guess the channel of somebody else.
    assert {len(channel) - len(replies.queue) for channel in channels} == {16}


async def test_a_broadcast_reaches_the_members_in_the_order_of_all_else():
    reader = Reader()
    (member, channel), (other, _) = reader.connect("room"), reader.connect()
    reader.layer.send_group("room", {"text": "1"})
    reader.layer.send(channel, {"text": "2"})
    reader.layer.group_discard("room", channel)
    reader.layer.send_group("room", {"text": "3"})
    reader.layer.group_add("room", channel)
    reader.layer.send_group("room", {"text": "4"})
    await settle()

    assert member.taken == [
        ("broadcast", {"text": "1"}),
        ("reply", {"text": "2"}),
        ("broadcast", {"text": "4"}),
    ]
    assert other.taken == []


async def test_a_broken_connection_does_not_cost_the_others_their_broadcast(caplog):
    reader = Reader()
    connections = [reader.connect("room", fails=fails)[0] for fails in (False, True, False)]

    reader.layer.send_group("room", {"text": "1"})
    await settle()

    arrived = [("broadcast", {"text": "1"})]
    assert [connection.taken for connection in connections] == [arrived, [], arrived]
    assert len(caplog.records) == 1
    assert "This connection is broken." in caplog.text


async def test_a_connection_that_is_forgotten_leaves_all_its_groups():
    reader = Reader()
    connection, channel = reader.connect("room", "lobby")
    await settle()

    reader.replies.forget(channel)
    reader.layer.send_group("room", {"text": "1"})
    reader.layer.send(channel, {"text": "2"})
    await settle()

    assert connection.taken == []
    assert reader.layer.group_channels("room") == reader.layer.group_channels("lobby") == []


async def test_what_a_closed_connection_cannot_leave_during_an_outage_is_left_afterwards(monkeypatch, caplog):
    reader = Reader()
    _, channel = reader.connect("room", "lobby")
    await settle()

    async def fail(queue, memberships):
        raise ChannelLayerUnavailable("It is away.")

    with monkeypatch.context() as outage:
        outage.setattr(reader.layer, "leave_groups", fail)
        reader.replies.forget(channel)
        await settle()
    left_over = reader.layer.group_channels("room")
    await reader.lease.renew()

    assert left_over == [channel]
    assert reader.layer.group_channels("room") == reader.layer.group_channels("lobby") == []
    assert [record.exc_info for record in caplog.records] == [None]


async def test_a_member_that_ends_in_the_middle_of_a_broadcast_harms_nobody():
    reader = Reader()
    (first, channel), (second, _) = reader.connect("room"), reader.connect("room")
    first.broadcast = lambda content: reader.replies.forget(channel)

    reader.layer.send_group("room", {"close": True})
    await settle()

    assert second.taken == [("broadcast", {"close": True})]


async def test_one_member_may_end_another_in_the_middle_of_a_broadcast():
    reader = Reader()
    (first, _), (second, channel), (third, _) = (reader.connect("room") for _ in range(3))
    first.broadcast = lambda content: reader.replies.forget(channel)

    reader.layer.send_group("room", {"text": "1"})
    await settle()

    assert (second.taken, third.taken) == ([], [("broadcast", {"text": "1"})])


async def test_a_join_of_a_connection_that_has_gone_is_taken_back():
    reader = Reader()
    _, channel = reader.connect()
    reader.replies.forget(channel)

    reader.layer.group_add("room", channel)
    await settle()

    assert reader.layer.group_channels("room") == []


async def test_a_reply_to_a_connection_that_has_gone_is_dropped_and_its_worker_told():
    reader = Reader()
    _, channel = reader.connect()
    reader.replies.forget(channel)

    reader.layer.send(channel, {"text": "late"})
    reader.layer.send(channel, {"content": b"late", "worker": ["news?1", 7]})
    await settle()

    assert reader.layer.receive(["news?1"]) == ("news?1", {"response": 7, "closed": True})


async def test_memberships_of_the_living_are_renewed():
    reader = Reader(group_expiry=60)
    connection, channel = reader.connect("room")
    _, dead = reader.connect("room")
    await settle()
    reader.replies.forget(dead)

    await asyncio.sleep(1000)

    assert reader.layer.group_channels("room") == [channel]
    reader.layer.send_group("room", {"text": "1"})
    await settle()
    assert connection.taken == [("broadcast", {"text": "1"})]


@pytest.mark.parametrize("method", ["read_queue", "renew_groups"])
async def test_a_layer_that_fails_for_a_while_is_asked_again(method, monkeypatch, caplog):
    failing = True
    working = getattr(InMemoryChannelLayer, method)

    async def fail(layer, *arguments):
        if failing:
            raise OSError("no connection")
        return await working(layer, *arguments)

    monkeypatch.setattr(InMemoryChannelLayer, method, fail)
    reader = Reader(group_expiry=60)
    connection, channel = reader.connect("room")
    await asyncio.sleep(25)
    failing = False
    await asyncio.sleep(50)

    reader.layer.send_group("room", {"text": "1"})
    await settle()

    assert connection.taken == [("broadcast", {"text": "1"})]
    assert reader.layer.group_channels("room") == [channel]
    assert caplog.messages[0] == "This process cannot reach the channel layer, and goes on trying: no connection"


async def test_memberships_that_are_told_anew_replace_those_that_were_known():
    reader = Reader()
    (first, channel), (second, _) = reader.connect("old"), reader.connect("old", "new")
    await settle()

    for entry in [Entry(), Entry(reader.replies._local(channel), "new", joins=True)]:
        reader.replies._take(entry)
    reader.layer.send_group("old", {"text": "old"})
    reader.layer.send_group("new", {"text": "new"})
    await settle()

    assert first.taken == [("broadcast", {"text": "new"})]
    assert second.taken == []


async def test_an_entry_that_makes_no_sense_does_not_end_the_reading(monkeypatch, caplog):
    reader = Reader()
    connection, channel = reader.connect()
    reader.replies._take(Entry(local="nobody", group="room", content=None, joins=False))
    _, broken_channel = reader.connect(fails=True)

    reader.layer.send(broken_channel, {"text": "1"})
    reader.layer.send(channel, {"text": "2"})
    await settle()

    assert connection.taken == [("reply", {"text": "2"})]
    assert caplog.messages == ["A message from the channel layer could not be handed to its connection"]


async def test_memberships_that_are_told_anew_replace_the_others_and_what_only_the_store_knows_is_not_believed(caplog):
    reader = Reader()
    (stays, channel), (goes, _) = reader.connect("room"), reader.connect("room")
    (comes, new), (forged, other) = reader.connect(), reader.connect()
    await settle()
    told = [
        Entry(),
        Entry(local_part(channel), "room", joins=True, stays=True),
        Entry(local_part(new), "room", joins=True),
        Entry(local_part(other), "room", joins=True, stays=True),
        Entry(group="room", content={"text": "1"}),
    ]
    for entry in told:
        reader.replies._take(entry)

    assert [len(connection.taken) for connection in (stays, goes, comes, forged)] == [1, 0, 1, 0]
    assert len(caplog.messages) == 1
    assert "the group room" in caplog.messages[0]


async def test_a_process_that_starts_anew_knows_nothing_of_the_old_queue():
    reader = Reader()
    connection, channel = reader.connect("room")
    await settle()
    reader.replies._take(Entry())
    reader.replies.unsure = True

    reader.replies.start_anew()
    # No process uses a local part twice; a store that is not to be believed may.
    reader.replies.register(reader.replies.queue + local_part(channel), connection)
    reader.replies._take(Entry(local_part(channel), "room", joins=True, stays=True))

    assert list(reader.replies.memberships()) == []
    assert reader.replies.unsure is False
