"""Readers pass over what they cannot read."""

from channels.layers.ipc import queues


def test_whatever_number_of_messages_cannot_be_read_the_next_one_is(ipc):
    ipc.store.visit(ipc, lambda visit: [queues.push(visit, "jobs", b"rubbish") for _ in range(1200)])
    ipc.store.visit(ipc, lambda visit: queues.push(visit, "jobs", ipc.encode("jobs", {"number": 1}, False)))

    assert ipc.receive(["jobs"]) == ("jobs", {"number": 1})
    assert ipc.channel_statistics("jobs")["dropped"] == {"unreadable": 1200}
