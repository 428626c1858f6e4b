"""The process queue: replies and broadcasts find their connections, the dead leave their groups."""

import asyncio

import pytest

from channels.exceptions import ChannelLayerUnavailable
from channels.interface.lease import LeaseKeeper
from channels.interface.replies import Replies
from channels.interface.workers import GROUP, PLACE
from channels.layers.base import Entry, Finish, Send
from channels.layers.inmemory import InMemoryChannelLayer
from channels.values.names import local_part

from .simulated_time import longest_pause, settle

# What a slow connection needs to take a message, in seconds.
SLOWNESS = 0.0001


class Connection:
    """Writes down what it is given. One that is slow keeps the loop meanwhile."""

    def __init__(self, fails=False, is_slow=False):
        self.taken = []
        self.fails = fails
        self.is_slow = is_slow

    def reply(self, content):
        self.take("reply", content)

    def broadcast(self, content):
        self.take("broadcast", content)

    def finished(self, finish):
        self.take("finished", finish)

    def lose(self, number):
        self.take("lost", number)

    def take_will(self, again):
        return None

    def take(self, kind, content):
        if self.fails:
            raise RuntimeError("This connection is broken.")
        if self.is_slow:
            asyncio.get_running_loop().pass_time(SLOWNESS)
        self.taken.append((kind, content))


class Reader:
    """A process queue that is being read."""

    def __init__(self, **options):
        self.layer = InMemoryChannelLayer(clock=asyncio.get_running_loop().time, **options)
        self.replies = Replies(self.layer)
        self.lease = LeaseKeeper(self.layer, self.replies, on_lost=None)
        self.tasks = [asyncio.create_task(self.replies.read()), asyncio.create_task(self.lease.keep())]

    def connect(self, *groups, **kind):
        connection, channel = Connection(**kind), self.replies.new_channel()
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


async def test_a_connection_is_told_what_has_finished_after_what_it_was_sent_with_it():
    reader = Reader()
    connection, channel = reader.connect()
    alone, along = Finish(1, {"a": 1}, ["b"]), Finish(2, keeps_order=True)

    reader.layer.send_many([Send(channel, None, finish=alone), Send(channel, {"text": "2"}, finish=along)])
    await settle()

    assert connection.taken == [("finished", alone), ("reply", {"text": "2"}), ("finished", along)]


async def test_a_message_has_finished_whatever_is_wrong_with_what_its_connection_was_sent(caplog):
    class Picky(Connection):
        def reply(self, content):
            raise RuntimeError("That makes no sense.")

    reader, connection = Reader(), Picky()
    channel = reader.replies.new_channel()
    reader.replies.register(channel, connection)

    reader.layer.send_many([Send(channel, {"text": "1"}, finish=Finish(1))])
    await settle()

    assert connection.taken == [("finished", Finish(1))]
    assert "That makes no sense." in caplog.text


async def test_what_has_finished_for_a_connection_that_has_gone_is_dropped(caplog):
    reader = Reader()
    _, channel = reader.connect()
    reader.replies.forget(channel)

    reader.layer.send_many([Send(channel, None, finish=Finish(1))])
    await settle()

    assert caplog.messages == []


async def test_a_loss_is_told_to_the_connection_if_that_is_there():
    reader = Reader()
    (connection, channel), (gone, gone_channel) = reader.connect(), reader.connect()
    reader.replies.forget(gone_channel)

    for name in (channel, gone_channel, "reply.of_another!1"):
        reader.replies.lose(name, 7)

    assert (connection.taken, gone.taken) == ([("lost", 7)], [])


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
    # The next renewal of the lease.
    await asyncio.sleep(reader.layer.expiry / 2)

    assert left_over == [channel]
    assert reader.layer.group_channels("room") == reader.layer.group_channels("lobby") == []
    assert [record.exc_info for record in caplog.records] == [None, None]


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

    await reader.replies._hand_on([Entry(), Entry(reader.replies._local(channel), "new", joins=True)])
    reader.layer.send_group("old", {"text": "old"})
    reader.layer.send_group("new", {"text": "new"})
    await settle()

    assert first.taken == [("broadcast", {"text": "new"})]
    assert second.taken == []


async def test_an_entry_that_makes_no_sense_does_not_end_the_reading(monkeypatch, caplog):
    reader = Reader()
    connection, channel = reader.connect()
    await reader.replies._hand_on([Entry(local="nobody", group="room", content=None, joins=False)])
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
    await reader.replies._hand_on(told)

    assert [len(connection.taken) for connection in (stays, goes, comes, forged)] == [1, 0, 1, 0]
    assert len(caplog.messages) == 1
    assert "the group room" in caplog.messages[0]


async def test_a_process_that_starts_anew_knows_nothing_of_the_old_queue():
    reader = Reader()
    connection, channel = reader.connect("room")
    await settle()
    await reader.replies._hand_on([Entry()])
    reader.replies.unsure = True

    reader.replies.start_anew()
    # No process uses a local part twice; a store that is not to be believed may.
    reader.replies.register(reader.replies.queue + local_part(channel), connection)
    await reader.replies._hand_on([Entry(local_part(channel), "room", joins=True, stays=True)])

    assert list(reader.replies.memberships()) == [(GROUP, PLACE)]
    assert reader.replies.unsure is False


# Others have their turn


async def test_a_burst_of_broadcasts_keeps_the_loop_for_a_millisecond_at_a_time():
    reader = Reader()
    members = [reader.connect("room", is_slow=True)[0] for _ in range(500)]
    await settle()
    for number in range(20):
        reader.layer.send_group("room", {"text": str(number)})

    pause = await longest_pause(lambda: len(members[-1].taken) == 20)

    assert pause < 0.0015
    arrived = [("broadcast", {"text": str(number)}) for number in range(20)]
    assert all(member.taken == arrived for member in members)


async def test_a_burst_of_replies_keeps_the_loop_for_a_millisecond_at_a_time():
    reader = Reader()
    connection, channel = reader.connect(is_slow=True)
    for number in range(1000):
        reader.layer.send(channel, {"text": str(number)})

    pause = await longest_pause(lambda: len(connection.taken) == 1000)

    assert pause < 0.0015
    assert [content["text"] for _, content in connection.taken] == list(map(str, range(1000)))


async def test_changes_of_memberships_and_messages_keep_their_order_although_others_have_their_turn():
    reader = Reader()
    members = [reader.connect("room", is_slow=True) for _ in range(50)]
    _, last_channel = members[-1]
    reader.layer.send_group("room", {"text": "1"})
    reader.layer.send(last_channel, {"text": "2"})
    reader.layer.group_discard("room", last_channel)
    reader.layer.send_group("room", {"text": "3"})
    reader.layer.group_add("room", last_channel)
    reader.layer.send_group("room", {"text": "4"})

    await longest_pause(lambda: len(members[-1][0].taken) == 3)

    assert members[0][0].taken == [("broadcast", {"text": text}) for text in "134"]
    assert members[-1][0].taken == [
        ("broadcast", {"text": "1"}),
        ("reply", {"text": "2"}),
        ("broadcast", {"text": "4"}),
    ]


async def test_a_connection_that_ends_while_a_broadcast_is_under_way_misses_it_and_harms_nobody():
    reader = Reader()
    members = [reader.connect("room", is_slow=True) for _ in range(100)]
    await settle()
    reader.layer.send_group("room", {"text": "1"})
    (first, first_channel), *_, (last, last_channel) = members
    await longest_pause(lambda: first.taken)
    before = len(last.taken)

    reader.replies.forget(first_channel)
    reader.replies.forget(last_channel)
    await longest_pause(lambda: members[-2][0].taken)
    await settle()

    assert (before, last.taken) == (0, [])
    assert all(member.taken == [("broadcast", {"text": "1"})] for member, _ in members[:-1])


async def test_who_was_taken_for_dead_while_a_broadcast_is_under_way_hands_on_no_more_of_it():
    reader = Reader()
    members = [reader.connect("room", is_slow=True)[0] for _ in range(100)]
    await settle()
    reader.layer.send_group("room", {"text": "1"})
    await longest_pause(lambda: members[0].taken)

    reader.replies.start_anew()
    # Longer than the rest would have taken.
    await asyncio.sleep(1)

    assert members[-1].taken == []


async def test_connections_that_end_at_the_same_time_leave_their_groups_together(monkeypatch):
    reader = Reader()
    channels = [reader.connect("room")[1] for _ in range(250)]
    await settle()
    leave_groups, left = reader.layer.leave_groups, []

    async def write_down(queue, memberships):
        left.append(len(memberships))
        await leave_groups(queue, memberships)

    monkeypatch.setattr(reader.layer, "leave_groups", write_down)
    for channel in channels:
        reader.replies.forget(channel)
    await settle()

    assert left == [100, 100, 50]
    assert reader.layer.group_channels("room") == []


async def test_connections_may_end_while_they_and_their_memberships_are_told():
    reader = Reader()
    (_, first), (_, second), (_, third) = (reader.connect("room", "lobby") for _ in range(3))
    await settle()
    memberships, connections = reader.replies.memberships(), reader.replies.connections()
    # Those of what hears of workers, and then those of the first.
    next(memberships), next(memberships), next(connections), next(connections)

    reader.replies.forget(second)
    reader.connect("room")
    await settle()

    rest = [("room", local_part(third)), ("lobby", local_part(first)), ("lobby", local_part(third))]
    assert list(memberships) == rest
    assert [local for local, _ in connections] == [local_part(third)]


async def test_memberships_that_are_void_are_not_told_any_more():
    reader = Reader()
    for _ in range(3):
        reader.connect("room")
    await settle()
    memberships = reader.replies.memberships()
    next(memberships)

    await reader.replies._hand_on([Entry()])

    assert list(memberships) == []
