"""`channels.interface.lease`: what the layer knows of a process is kept true."""

import asyncio
import itertools

from channels.interface.lease import LeaseKeeper
from channels.layers.base import Lease, Send
from channels.layers.inmemory import InMemoryChannelLayer

from .simulated_time import longest_pause, settle

MEMBERSHIPS = [("room", f"socket{number}") for number in range(10)]
WILL = ("socket1", Send("websocket.disconnect", {}))


class Layer(InMemoryChannelLayer):
    """Writes down what it is asked for, and knows as much of the process as it is told to."""

    lease_interval = 2.0

    def __init__(self):
        super().__init__()
        self.answer = Lease.KEPT
        self.renewed = []
        self.wills = []
        self.restated = 0

    async def restate_memberships(self, queue):
        self.restated += 1

    async def renew_lease(self, queue):
        return self.answer

    async def renew_groups(self, queue, memberships):
        self.renewed.append(list(memberships))

    async def set_wills(self, queue, wills):
        self.wills.append(list(wills))


class Connection:
    """Has left its last will, unless that is new."""

    def __init__(self):
        self.will_is_new = False

    def take_will(self, again):
        return WILL[1] if again or self.will_is_new else None


class Registered:
    queue = "reply.a!"
    unsure = False

    def __init__(self):
        self.connection = Connection()

    def memberships(self):
        return MEMBERSHIPS

    async def leave_the_rest(self):
        pass

    def connections(self):
        return [(WILL[0], self.connection)]


def keeper(layer, registered=None):
    lost = []
    return LeaseKeeper(layer, registered or Registered(), on_lost=lambda: lost.append("lost")), lost


async def turn(lease):
    """Have one turn of a keeper, with all that it does apart."""
    keeping = asyncio.create_task(lease.keep())
    await settle()
    keeping.cancel()


async def test_a_layer_that_has_lost_its_data_gets_everything_again():
    layer = Layer()
    layer.answer = Lease.NEW

    await turn(keeper(layer)[0])

    assert layer.renewed == [MEMBERSHIPS]
    assert layer.wills == [[WILL]]


async def test_only_a_layer_that_knew_the_process_can_have_lost_its_data(caplog):
    layer = Layer()
    lease, _ = keeper(layer)

    layer.answer = Lease.NEW
    await turn(lease)
    at_its_start = caplog.text
    await turn(lease)

    assert "lost its data" not in at_its_start
    assert "lost its data" in caplog.text


async def test_a_process_that_may_have_missed_changes_asks_for_its_memberships_and_renews_none_meanwhile():
    layer, registered = Layer(), Registered()
    lease, _ = keeper(layer, registered)

    registered.unsure = True
    await turn(lease)
    asked = layer.restated, list(layer.renewed)
    await turn(lease)

    assert asked == (1, [])
    assert layer.restated == 1
    assert len(layer.renewed) == 1


async def test_every_membership_is_renewed_within_five_turns():
    layer = Layer()
    lease, _ = keeper(layer)

    for _ in range(5):
        await turn(lease)

    assert sorted(itertools.chain(*layer.renewed)) == sorted(MEMBERSHIPS)
    assert max(map(len, layer.renewed)) == 2


async def test_only_new_wills_are_left_with_a_layer_that_knows_the_others():
    layer, registered = Layer(), Registered()
    registered.connection.will_is_new = True

    await turn(keeper(layer, registered)[0])

    assert layer.wills == [[WILL]]


async def test_a_process_that_was_taken_for_dead_is_told_and_renews_nothing():
    layer = Layer()
    layer.answer = Lease.LOST
    lease, lost = keeper(layer)

    await turn(lease)

    assert lost == ["lost"]
    assert layer.renewed == []


async def test_a_layer_that_could_not_be_told_everything_is_told_again(monkeypatch):
    layer = Layer()
    layer.answer = Lease.NEW
    lease, _ = keeper(layer)
    failures = ["once"]

    async def fail_once(queue, memberships):
        if failures:
            raise OSError(failures.pop())
        layer.renewed.append(list(memberships))

    monkeypatch.setattr(layer, "renew_groups", fail_once)
    await turn(lease)
    layer.answer = Lease.KEPT
    await turn(lease)
    await turn(lease)

    assert layer.renewed[0] == MEMBERSHIPS
    assert len(layer.renewed[1]) == 2
    assert layer.wills == [[WILL], [WILL]]


async def test_the_loss_of_its_data_is_logged_when_all_is_registered_again(monkeypatch, caplog):
    layer = Layer()
    lease, _ = keeper(layer)
    await turn(lease)
    layer.answer = Lease.NEW
    told = []

    async def fail_once(queue, memberships):
        told.append(caplog.text)
        if len(told) == 1:
            raise OSError("once")

    monkeypatch.setattr(layer, "renew_groups", fail_once)
    await turn(lease)
    await turn(lease)

    assert ["registered again" in text for text in told] == [False, False]
    assert "1 connections are registered again" in caplog.text


async def test_a_loss_that_is_noticed_during_a_renewal_is_logged_when_all_is_registered_again(monkeypatch, caplog):
    layer = Layer()
    lease, _ = keeper(layer)
    await turn(lease)

    async def lose_meanwhile(queue, memberships):
        layer.answer = Lease.NEW
        await lease._renew_lease()

    with monkeypatch.context() as loss:
        loss.setattr(layer, "renew_groups", lose_meanwhile)
        await turn(lease)
    before = caplog.text
    await turn(lease)

    assert before == ""
    assert layer.renewed[-1] == MEMBERSHIPS
    assert "1 connections are registered again" in caplog.text


async def test_closed_connections_leave_their_groups_before_the_memberships_are_asked_for(monkeypatch):
    layer, registered = Layer(), Registered()
    registered.unsure = True
    steps = []

    async def leave():
        steps.append("left")

    async def restate(queue):
        steps.append("asked")

    monkeypatch.setattr(registered, "leave_the_rest", leave)
    monkeypatch.setattr(layer, "restate_memberships", restate)
    await turn(keeper(layer, registered)[0])

    assert steps == ["left", "asked"]


async def test_a_failed_renewal_is_not_taken_for_a_loss(monkeypatch, caplog):
    layer = Layer()
    lease, _ = keeper(layer)
    await turn(lease)

    async def fail(queue, memberships):
        raise OSError("once")

    with monkeypatch.context() as outage:
        outage.setattr(layer, "renew_groups", fail)
        await turn(lease)
    await turn(lease)

    assert layer.renewed[1] == MEMBERSHIPS
    assert "lost its data" not in caplog.text


async def test_the_lease_is_renewed_in_time_although_the_rest_takes_long(monkeypatch):
    layer = Layer()
    lease, _ = keeper(layer)
    renewals, running = [], []

    async def renew_lease(queue):
        renewals.append(asyncio.get_running_loop().time())
        return Lease.KEPT

    async def renew_groups(queue, memberships):
        running.append("begun")
        await asyncio.sleep(60)

    monkeypatch.setattr(layer, "renew_lease", renew_lease)
    monkeypatch.setattr(layer, "renew_groups", renew_groups)
    task = asyncio.create_task(lease.keep())
    await asyncio.sleep(21)
    task.cancel()

    assert len(renewals) == 11
    assert running == ["begun"]


async def test_the_lease_is_renewed_in_time_although_what_is_done_for_others_takes_long(monkeypatch):
    layer = Layer()
    lease, _ = keeper(layer)
    renewals, tended = [], []

    async def renew_lease(queue):
        renewals.append(queue)
        return Lease.KEPT

    async def tend():
        tended.append("begun")
        await asyncio.sleep(15)

    monkeypatch.setattr(layer, "renew_lease", renew_lease)
    monkeypatch.setattr(layer, "tend", tend)
    task = asyncio.create_task(lease.keep())
    await asyncio.sleep(21)
    task.cancel()

    assert len(renewals) == 11
    assert tended == ["begun"] * 2


async def test_a_lease_that_cannot_be_renewed_keeps_nothing_from_what_is_done_for_others(monkeypatch):
    layer = Layer()
    lease, _ = keeper(layer)
    tended = []

    async def fail(queue):
        raise OSError("away")

    async def tend():
        tended.append("begun")

    monkeypatch.setattr(layer, "renew_lease", fail)
    monkeypatch.setattr(layer, "tend", tend)
    task = asyncio.create_task(lease.keep())
    await asyncio.sleep(3)
    task.cancel()

    assert tended == ["begun"] * 2


async def test_an_outage_is_logged_at_its_beginning_and_is_over_when_the_lease_has_been_renewed(monkeypatch, caplog):
    layer = Layer()
    lease, _ = keeper(layer)
    failures = [OSError("gone")] * 3

    async def renew_lease(queue):
        if failures:
            raise failures.pop()
        return Lease.KEPT

    monkeypatch.setattr(layer, "renew_lease", renew_lease)
    task = asyncio.create_task(lease.keep())
    await asyncio.sleep(21)
    task.cancel()

    failure, end = caplog.messages
    assert failure == "This process cannot reach the channel layer, and goes on trying: gone"
    assert end.startswith("This process reaches the channel layer again, after ")


async def test_a_process_that_was_stalled_is_back_in_its_groups_soon():
    layer = Layer()
    layer.lease_interval = None
    lease, _ = keeper(layer)

    task = asyncio.create_task(lease.keep())
    await asyncio.sleep(layer.expiry)
    task.cancel()

    assert layer.group_expiry > 1000 * layer.expiry
    assert len(layer.renewed) >= 2


async def test_a_layer_without_leases_gets_all_memberships_a_few_times_in_their_life():
    layer = Layer()
    layer.lease_interval = None
    layer.group_expiry = 90
    lease, _ = keeper(layer)

    task = asyncio.create_task(lease.keep())
    await asyncio.sleep(65)
    task.cancel()

    assert layer.renewed == [MEMBERSHIPS] * 3


class SlowLayer(Layer):
    """Needs a tenth of a millisecond for each thing it is told, and keeps the loop meanwhile."""

    def __init__(self):
        super().__init__()
        self.clock = asyncio.get_running_loop().time

    async def renew_groups(self, queue, memberships):
        asyncio.get_running_loop().pass_time(0.0001 * len(memberships))
        await super().renew_groups(queue, memberships)

    async def set_wills(self, queue, wills):
        asyncio.get_running_loop().pass_time(0.0001 * len(wills))
        await super().set_wills(queue, wills)


class ManyRegistered(Registered):
    def memberships(self):
        return [("room", f"socket{number}") for number in range(1000)]

    def connections(self):
        return [(f"socket{number}", self.connection) for number in range(1000)]


async def test_much_that_has_to_be_told_is_told_a_little_at_a_time_while_others_have_their_turn():
    layer, registered = SlowLayer(), ManyRegistered()
    layer.answer = Lease.NEW
    lease, _ = keeper(layer, registered)

    keeping = asyncio.create_task(lease.keep())
    pause = await longest_pause(lambda: len(layer.renewed) == 10)
    keeping.cancel()

    # A hundred things in one step.
    assert pause < 0.0105
    assert list(itertools.chain(*layer.wills)) == [(local, WILL[1]) for local, _ in registered.connections()]
    assert list(itertools.chain(*layer.renewed)) == registered.memberships()


async def test_nothing_more_is_told_of_a_process_that_has_begun_anew_meanwhile(monkeypatch, caplog):
    layer, registered = Layer(), ManyRegistered()
    lease, _ = keeper(layer, registered)
    await turn(lease)
    layer.renewed.clear()
    layer.answer = Lease.NEW

    async def begin_anew_meanwhile(queue, memberships):
        layer.renewed.append(queue)
        registered.queue = "reply.b!"

    monkeypatch.setattr(layer, "renew_groups", begin_anew_meanwhile)
    await turn(lease)

    assert layer.renewed == ["reply.a!"]
    assert "registered again" not in caplog.text
