"""Leases and last wills: who has died is noticed, and spoken for once."""

import asyncio
import contextlib

import pytest

from channels.exceptions import ChannelFull
from channels.layers.base import Delivery, Entry, Lease, Ticket, UnderWay
from channels.layers.ipc.groups import LEFT_LIFE
from channels.layers.ipc.leases import ENDED_LIFE, LEASE, UNWATCHED

QUEUE = "reply.a!"


@pytest.fixture(autouse=True)
def watched(ipc, clock):
    """Time passes for a lease while somebody looks."""
    ipc.receive(["any"])
    clock.pass_lease = lambda: [(clock.advance(LEASE / 4), ipc.receive(["any"])) for _ in range(4)]


def opening(ipc, number):
    """Return the connect message of a socket, with the last will that it leaves."""
    will = ipc.prepare("websocket.disconnect", {"socket": number})
    return ipc.prepare("websocket.connect", {})._replace(reply_channel=f"{QUEUE}{number}", will=will)


def closing(ipc, number):
    return ipc.prepare("websocket.disconnect", {"socket": number})._replace(reply_channel=f"{QUEUE}{number}")


def received(ipc, channel):
    return [message for _, message in iter(lambda: ipc.receive([channel]), (None, None))]


def renew(ipc):
    return asyncio.run(ipc.renew_lease(QUEUE))


def set_wills(ipc, *wills):
    asyncio.run(ipc.set_wills(QUEUE, wills))


def test_the_wills_of_a_dead_process_are_carried_out_once(ipc, clock, caplog):
    renew(ipc)
    ipc.send_many([opening(ipc, number) for number in range(3)])
    ipc.send_many([closing(ipc, 1)])
    ipc.group_add("room", f"{QUEUE}2")
    before = received(ipc, "websocket.disconnect")
    clock.pass_lease()
    after = received(ipc, "websocket.disconnect")

    assert before == [{"socket": 1}]
    assert sorted(message["socket"] for message in after) == [0, 2]
    assert received(ipc, "websocket.disconnect") == []
    assert ipc.group_channels("room") == []
    assert caplog.messages == [f"Interface process {QUEUE} has died; consumers hear of the end of 2 connections"]


def test_many_wills_are_carried_out_although_the_channel_takes_fewer(make_ipc, ipc, clock):
    renew(ipc)
    ipc.send_many([opening(ipc, number) for number in range(100)])
    received(ipc, "websocket.connect")
    ipc.send_many([opening(ipc, number) for number in range(100, 150)])
    clock.pass_lease()

    assert sorted(message["socket"] for message in received(ipc, "websocket.disconnect")) == list(range(150))


def test_large_wills_are_carried_out_although_the_map_has_no_room_for_all_at_once(ipc, clock):
    renew(ipc)
    content = {"bytes": b"x" * 64_000}
    set_wills(ipc, *((str(number), ipc.prepare("http.disconnect", content)) for number in range(90)))
    clock.pass_lease()

    assert received(ipc, "http.disconnect") == [content] * 90


def test_a_will_brings_its_ticket_along(ipc, clock):
    content, tickets = {"reply_channel": f"{QUEUE}1"}, [Ticket(3, {"a": b"1"}), Ticket(4, {"a": [2]})]
    first, changed = (ipc.prepare_will("websocket.disconnect", content, ticket) for ticket in tickets)
    connect = ipc.prepare("websocket.connect", {})._replace(reply_channel=f"{QUEUE}1", will=first)
    renew(ipc)
    ipc.send_many([connect, connect._replace(reply_channel=f"{QUEUE}2")])
    set_wills(ipc, ("2", changed))
    clock.pass_lease()

    found = [ipc.take(["websocket.disconnect"]) for _ in range(2)]

    expected = [Delivery("websocket.disconnect", content, ticket) for ticket in tickets]
    assert sorted(found, key=lambda delivery: delivery.ticket.number) == expected


def test_a_connect_message_that_was_refused_leaves_no_will(make_ipc, ipc, clock):
    layer = make_ipc(capacity=1)
    layer.send("websocket.connect", {})
    renew(ipc)

    assert layer.send_many([opening(layer, 1)])
    clock.pass_lease()
    assert received(ipc, "websocket.disconnect") == []


def test_a_process_learns_what_the_map_knows_of_it(ipc, clock):
    new, kept = renew(ipc), renew(ipc)
    ipc.flush()
    flushed = renew(ipc)
    clock.pass_lease()

    assert (new, kept, flushed, renew(ipc)) == (Lease.NEW, Lease.KEPT, Lease.NEW, Lease.LOST)


def test_a_process_that_has_ended_its_lease_is_not_spoken_for(ipc, clock):
    renew(ipc)
    set_wills(ipc, ("1", ipc.prepare("http.disconnect", {})))
    asyncio.run(ipc.end_lease(QUEUE))
    clock.pass_lease()

    assert received(ipc, "http.disconnect") == []


def test_a_will_can_be_taken_back(ipc, clock):
    renew(ipc)
    set_wills(ipc, *((number, ipc.prepare("http.disconnect", {"n": number})) for number in "12"))
    set_wills(ipc, ("1", None))
    clock.pass_lease()

    assert received(ipc, "http.disconnect") == [{"n": "2"}]


def test_the_will_of_a_connection_that_was_opened_after_its_process_was_given_up_is_carried_out_too(ipc, clock):
    renew(ipc)
    clock.pass_lease()
    ipc.send_many([opening(ipc, 1)])

    assert (received(ipc, "websocket.disconnect"), renew(ipc)) == ([], Lease.LOST)
    assert received(ipc, "websocket.disconnect") == [{"socket": 1}]


def lost(ipc, *numbers):
    """Return which messages of a socket are lost, by their numbers."""
    under_way = [UnderWay("websocket.receive", "reply.a!1", number, 9.0) for number in numbers]
    return [message.number for message in asyncio.run(ipc.find_lost(under_way))]


def test_what_a_dead_worker_process_worked_on_is_told_once(ipc, clock, caplog):
    ipc.renew_worker("one", [UnderWay("websocket.receive", "reply.a!1", 7, 3.2)])
    before = lost(ipc, 7)
    clock.pass_lease()
    ipc.renew_worker("other", [])
    ipc.renew_worker("other", [])

    assert (before, lost(ipc, 7)) == ([], [7])
    assert caplog.messages == [
        "Worker process one has said nothing for 8 s and is taken for dead",
        "A message on websocket.receive from reply.a!1 is lost with it, after 3 s of work",
    ]


def test_a_worker_process_that_has_ended_is_not_missed(ipc, clock, caplog):
    ipc.renew_worker("one", [])
    ipc.end_worker("one")
    clock.pass_lease()
    ipc.renew_worker("other", [])

    assert caplog.messages == []


def test_a_broadcast_reaches_a_process_that_is_late_with_its_lease(make_ipc, clock):
    layer = make_ipc()
    asyncio.run(layer.renew_lease(QUEUE))
    layer.group_add("room", f"{QUEUE}1")
    clock.advance(LEASE)
    layer.send_group("room", {"text": "late"})

    assert [entry.content for entry in asyncio.run(layer.read_queue(QUEUE))] == [None, {"text": "late"}]
    assert asyncio.run(layer.renew_lease(QUEUE)) is Lease.KEPT


def test_a_broadcast_to_a_process_that_has_died_is_counted_when_that_is_noticed(ipc, clock):
    renew(ipc)
    ipc.group_add("room", f"{QUEUE}1")
    ipc.send_group("room", {})
    clock.pass_lease()

    assert ipc.channel_statistics(QUEUE + "1")["dropped"] == {"its interface process has ended": 1}


def test_leases_begin_anew_when_nobody_could_renew_one(ipc, clock, caplog):
    ipc.renew_worker("one", [UnderWay("websocket.receive", "reply.a!1", 7)])
    renew(ipc)
    clock.advance(LEASE + UNWATCHED)
    ipc.receive(["any"])
    ipc.renew_worker("other", [])

    assert lost(ipc, 7) == []
    assert renew(ipc) is Lease.KEPT
    assert caplog.messages == []


def test_a_lease_begins_anew_only_once_however_seldom_anybody_looks(ipc, clock, caplog):
    ipc.renew_worker("one", [])
    renew(ipc)
    for _ in range(2):
        clock.advance(LEASE + UNWATCHED)
        ipc.receive(["any"])
    ipc.renew_worker("other", [])

    assert renew(ipc) is Lease.LOST
    assert caplog.messages[-1] == "Worker process one has said nothing for 8 s and is taken for dead"


def test_a_lease_that_was_renewed_after_it_began_anew_can_do_so_again(ipc, clock):
    leases = [renew(ipc)]
    for _ in range(2):
        clock.advance(LEASE + UNWATCHED)
        ipc.receive(["any"])
        leases.append(renew(ipc))

    assert leases == [Lease.NEW, Lease.KEPT, Lease.KEPT]


def end_process(ipc, clock, killed):
    """Let an interface process begin, and end with or without a word."""
    renew(ipc)
    if killed:
        clock.pass_lease()
    else:
        asyncio.run(ipc.end_lease(QUEUE))


@pytest.mark.parametrize("killed", [False, True])
def test_nothing_is_left_for_a_process_that_has_ended(ipc, clock, killed):
    end_process(ipc, clock, killed)
    ipc.group_add("room", f"{QUEUE}1")
    ipc.group_discard("room", f"{QUEUE}2")
    asyncio.run(ipc.renew_groups(QUEUE, [("room", "3")]))

    assert ipc.group_channels("room") == []
    assert ipc.global_statistics()["messages_pending"] == 0


@pytest.mark.parametrize("killed", [False, True])
def test_what_comes_late_for_a_process_that_has_ended_is_dropped_and_counted(ipc, clock, killed):
    end_process(ipc, clock, killed)
    pending = []
    for number in range(2):
        ipc.send(f"{QUEUE}{number}", {})
        ipc.receive(["any"])
        pending.append(ipc.global_statistics()["messages_pending"])

    assert pending == [0, 0]
    assert ipc.channel_statistics(f"{QUEUE}1")["dropped"] == {"its interface process has ended": 2}


@pytest.mark.parametrize("flushed", [False, True])
def test_a_membership_reaches_a_process_of_which_the_map_does_not_know_yet(ipc, flushed):
    if flushed:
        renew(ipc)
        ipc.flush()
    ipc.group_add("room", f"{QUEUE}1")

    assert asyncio.run(ipc.read_queue(QUEUE)) == [Entry("1", "room", joins=True)]


def test_who_has_left_a_group_is_not_taken_back_by_a_process_that_does_not_know_yet(ipc):
    for number in "123":
        ipc.group_add("room", QUEUE + number)
    ipc.group_discard("room", f"{QUEUE}1")
    asyncio.run(ipc.leave_groups(QUEUE, [("room", "2")]))
    asyncio.run(ipc.renew_groups(QUEUE, [("room", number) for number in "123"]))

    assert ipc.group_channels("room") == [f"{QUEUE}3"]


def test_who_has_come_back_to_a_group_stays_there(ipc):
    ipc.group_add("room", f"{QUEUE}1")
    ipc.group_discard("room", f"{QUEUE}1")
    ipc.group_add("room", f"{QUEUE}1")
    asyncio.run(ipc.renew_groups(QUEUE, [("room", "1")]))

    assert ipc.group_channels("room") == [f"{QUEUE}1"]


def test_memberships_are_told_anew_after_what_came_before_and_before_what_comes_later(ipc):
    renew(ipc)
    for group, number in ("room", 1), ("hall", 2), ("room", 3):
        ipc.group_add(group, f"{QUEUE}{number}")
    ipc.group_discard("room", f"{QUEUE}3")

    async def read():
        first = await ipc.read_queue(QUEUE)
        await ipc.restate_memberships(QUEUE)
        again = await ipc.read_queue(QUEUE)
        ipc.send(f"{QUEUE}1", {})
        return len(first), again, await ipc.read_queue(QUEUE)

    first, again, later = asyncio.run(read())

    assert first == 4
    assert again[0] == Entry()
    assert sorted(again[1:]) == [Entry("1", "room", joins=True), Entry("2", "hall", joins=True)]
    assert later == [Entry("1", content={})]


def test_all_that_a_process_leaves_behind_is_gone_after_a_while(ipc, clock):
    renew(ipc)
    ipc.send_many([opening(ipc, 1)])
    ipc.group_add("room", f"{QUEUE}1")
    ipc.group_add("hall", "jobs")

    async def read():
        await ipc.read_queue(QUEUE)
        with contextlib.suppress(TimeoutError):
            # It leaves its bell.
            await asyncio.wait_for(ipc.read_queue(QUEUE), 0.01)

    asyncio.run(read())
    with pytest.raises(ChannelFull):
        for _ in range(200):
            ipc.send("parts?a", {})
    clock.pass_lease()
    for seconds in (ENDED_LIFE, ipc.group_expiry, ipc.group_expiry + 60):
        clock.advance(seconds)
        for _ in range(3):
            ipc.receive(["any"])

    assert ipc.store.visit(ipc, lambda visit: [key for key in visit.keys(b"") if key != b"t"]) == []


def test_what_has_lapsed_goes_as_fast_as_it_came(ipc, clock):
    asyncio.run(ipc.leave_groups(QUEUE, [("room", str(number)) for number in range(1500)]))
    clock.advance(LEFT_LIFE)
    asyncio.run(ipc.tend())

    assert ipc.store.visit(ipc, lambda visit: visit.keys(b"l")) == []
