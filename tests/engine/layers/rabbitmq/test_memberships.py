"""What one process knows of groups."""

import timeit

import pytest

from channels.layers.rabbitmq import memberships
from channels.layers.rabbitmq.memberships import Known


def test_a_group_leads_to_the_queues_of_its_members_as_long_as_there_are_any():
    known = Known()
    for channel in ("reply.a!1", "reply.a!2", "reply.a!2", "reply.b!1", "jobs"):
        known.add("room", channel, 1.0)
    before = set(known.queues("room"))
    for channel in ("reply.a!1", "reply.b!1", "reply.b!1", "elsewhere"):
        known.discard("room", channel)

    assert before == {"reply.a!", "reply.b!", "jobs"}
    assert set(known.queues("room")) == {"reply.a!", "jobs"}
    assert list(known.queues("other")) == []


def test_memberships_lapse_unless_they_are_renewed():
    known = Known()
    for channel, lapses in (("a", 1.0), ("b", 2.0), ("c", 3.0), ("a", 4.0)):
        known.add("room", channel, lapses)

    assert [known.lapsed("room", now) for now in (1.9, 2.0, 3.5, 4.0)] == [[], ["b"], ["b", "c"], ["b", "c", "a"]]
    assert known.lapsed("other", 4.0) == []


def test_only_so_many_memberships_are_remembered(monkeypatch):
    monkeypatch.setattr(memberships, "MOST", 2)
    known = Known()
    for number, channel in enumerate(("a", "b", "a", "c")):
        known.add("room", channel, float(number))

    assert known.channels("room") == ["a", "c"]


@pytest.mark.parametrize("ask", [lambda known: known.queues("room"), lambda known: known.lapsed("room", 0.0)])
def test_what_a_broadcast_asks_costs_no_more_in_a_large_group(ask):
    def seconds(members):
        known = Known()
        for _ in range(2):
            for number in range(members):
                known.add("room", f"reply.a!{number}", 1.0)
        return min(timeit.repeat(lambda: ask(known), number=100, repeat=10))

    assert seconds(20_000) < 20 * seconds(10)
