"""Which messages are taken for lost, and when: by what a hand-written layer says, on a clock that is advanced."""

import asyncio
import itertools

import pytest

from channels.exceptions import ChannelLayerUnavailable
from channels.interface.lane_watch import CERTAINTY, INTERVAL, PATIENCE, LaneWatch
from channels.layers.base import UnderWay
from channels.layers.inmemory import InMemoryChannelLayer

from .simulated_time import longest_pause

KEY = ("reply.a!1", 7)


class Layer(InMemoryChannelLayer):
    """Has lost what it is told to have lost, and writes down what it is asked."""

    def __init__(self):
        super().__init__(clock=asyncio.get_running_loop().time)
        self.lost = set()
        self.asked = []
        self.is_away = False
        # How long it takes to answer, in seconds.
        self.takes = 0.0

    async def find_lost(self, under_way):
        self.asked.append((self.clock(), [message[1:3] for message in under_way]))
        await asyncio.sleep(self.takes)
        if self.is_away:
            raise ChannelLayerUnavailable("It is away.")
        return [message for message in under_way if message[1:3] in self.lost]


class Connection:
    """Has had messages under way since some time, each a key and a time."""

    def __init__(self, *under_way, seconds=0.0):
        self.under_way = dict(under_way)
        self.seconds = seconds

    def overdue(self, now, patience):
        if self.seconds:
            asyncio.get_running_loop().pass_time(self.seconds)
        return [
            UnderWay("websocket.receive", *key, now - since)
            for key, since in self.under_way.items()
            if now - since >= patience
        ]


class Connections:
    """All connections of a process; what they are told to have lost is written down with its time."""

    def __init__(self, *connections):
        self.all = connections
        self.told = []

    def connections(self):
        return ((str(number), connection) for number, connection in enumerate(self.all))

    def lose(self, reply_channel, number):
        self.told.append((asyncio.get_running_loop().time(), (reply_channel, number)))
        for connection in self.all:
            connection.under_way.pop((reply_channel, number), None)


def watch(*connections):
    """Return a layer, the connections, and a task that watches over them."""
    layer, replies = Layer(), Connections(*connections)
    return layer, replies, asyncio.create_task(LaneWatch(layer, replies).keep())


async def test_a_message_that_is_missed_for_seconds_is_lost_and_told_once():
    layer, replies, _ = watch(Connection((KEY, 0.0)))
    layer.lost = {KEY}

    await asyncio.sleep(60)

    # It is missed for the first time at second 4, and at second 8 that is not long enough ago.
    assert replies.told == [(10.0, KEY)]


async def test_whatever_has_been_under_way_for_a_short_time_is_nothing_to_ask_for():
    layer, _, _ = watch(Connection((KEY, 4.0)))

    await asyncio.sleep(11)

    assert layer.asked == [(8.0, [KEY]), (10.0, [KEY])]


async def test_a_slow_consumer_is_never_taken_for_lost():
    layer, replies, _ = watch(Connection((KEY, 0.0)))

    await asyncio.sleep(601)

    assert (replies.told, len(layer.asked)) == ([], 299)


async def test_a_message_that_was_missed_and_is_there_again_is_missed_anew():
    """A worker that has just taken it tells so a little later."""
    layer, replies, _ = watch(Connection((KEY, 0.0)))
    loop = asyncio.get_running_loop()
    for second in range(100):
        loop.call_at(second + 0.5, layer.lost.add if second % 6 < 4 else layer.lost.discard, KEY)

    await asyncio.sleep(100)

    assert replies.told == []


async def test_an_outage_begins_everything_anew():
    layer, replies, _ = watch(Connection((KEY, 0.0)))
    loop = asyncio.get_running_loop()
    layer.lost = {KEY}
    loop.call_at(9, setattr, layer, "is_away", True)
    loop.call_at(21, setattr, layer, "is_away", False)

    await asyncio.sleep(60)

    # Seen from second 22 on, as if it had never been missed before.
    assert replies.told == [(28.0, KEY)]


async def test_a_layer_that_is_slow_to_answer_is_not_believed():
    """What workers say that they have comes as slowly."""
    layer, replies, _ = watch(Connection((KEY, 0.0)))
    layer.lost, layer.takes = {KEY}, 1.5
    asyncio.get_running_loop().call_at(60, setattr, layer, "takes", 0.5)

    await asyncio.sleep(100)

    [(second, lost)] = replies.told
    assert lost == KEY
    assert 65 <= second <= 70


async def test_an_outage_is_logged_once_and_so_is_its_end(caplog):
    layer, _, _ = watch(Connection((KEY, 0.0)))
    layer.is_away = True
    asyncio.get_running_loop().call_at(21, setattr, layer, "is_away", False)

    await asyncio.sleep(60)

    failure, end = caplog.messages
    assert failure == "This process cannot reach the channel layer, and goes on trying: It is away."
    assert end.startswith("This process reaches the channel layer again, after ")


async def test_an_outage_is_not_over_because_there_is_nothing_left_to_ask_for(caplog):
    connection = Connection((KEY, 0.0))
    layer, _, _ = watch(connection)
    layer.is_away = True
    asyncio.get_running_loop().call_at(9, connection.under_way.clear)

    await asyncio.sleep(21)
    lasts = layer.outage.lasts("lanes")
    layer.is_away = False
    await asyncio.sleep(10)

    assert lasts
    assert layer.asked[-2:] == [(20.0, []), (22.0, [])]
    assert len(caplog.messages) == 2


async def test_a_loss_of_data_after_which_workers_tell_again_what_they_have_loses_nothing():
    layer, replies, _ = watch(Connection((KEY, 0.0)))
    loop = asyncio.get_running_loop()
    loop.call_at(20.5, layer.lost.add, KEY)
    # Every two seconds they say what they have; one that notices late says so with the second time.
    loop.call_at(25, layer.lost.discard, KEY)

    await asyncio.sleep(60)

    assert replies.told == []


async def test_messages_that_are_missed_at_once_are_all_told():
    keys = [(f"reply.a!{number}", 1) for number in range(3)]
    layer, replies, _ = watch(*(Connection((key, 0.0)) for key in keys))
    layer.lost = {keys[0], keys[2]}

    await asyncio.sleep(20)

    assert [key for _, key in replies.told] == [keys[0], keys[2]]


async def test_the_loop_is_kept_for_milliseconds_at_a_time_however_many_sockets_there_are():
    slow = [Connection(seconds=0.0001) for _ in range(200)]
    keeping = asyncio.create_task(LaneWatch(Layer(), Connections(*slow)).look())

    assert await longest_pause(keeping.done) < 0.003


@pytest.mark.parametrize("killed_at", [0.0, 0.5, 1.0, 1.9])
async def test_a_loss_is_told_in_bounded_time(killed_at):
    layer, replies, _ = watch(Connection((KEY, 0.0)))
    asyncio.get_running_loop().call_at(20 + killed_at, layer.lost.add, KEY)

    await asyncio.sleep(60)

    [(told_at, _)] = replies.told
    assert told_at - (20 + killed_at) <= CERTAINTY + 2 * INTERVAL
    assert list(itertools.takewhile(lambda asked: asked[0] < PATIENCE, layer.asked)) == []
