"""What is declared at the broker: nothing that those of version 4 refuse."""

import re
from pathlib import Path

import pytest

from channels.layers.rabbitmq import topology
from channels.layers.rabbitmq.topology import (
    Limits,
    Names,
    dead_queue,
    kept_queue,
    lease_queue,
    members_queue,
    message_queue,
)

NAMES = Names("shop:")
LIMITS = Limits(60, 86_400)
QUEUES = {
    "messages": message_queue(LIMITS, 100, NAMES),
    "members": members_queue(LIMITS),
    "lease": lease_queue(NAMES),
    "kept": kept_queue(),
    "dead": dead_queue(LIMITS),
}
# What brokers of version 4 know of classic queues. Mirroring, lazy mode and priorities of messages are not among it.
KNOWN = {
    "x-queue-type",
    "x-expires",
    "x-message-ttl",
    "x-max-length",
    "x-max-length-bytes",
    "x-overflow",
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
}


@pytest.mark.parametrize("arguments", QUEUES.values(), ids=QUEUES)
def test_every_queue_is_a_classic_one_that_vanishes_when_nobody_uses_it(arguments):
    assert arguments["x-queue-type"] == "classic"
    assert arguments["x-expires"] >= 60_000
    assert set(arguments) <= KNOWN


def test_all_that_is_declared_is_durable_and_shared_and_nothing_is_asked_that_is_out_of_favour():
    sources = [path.read_text("utf-8") for path in Path(topology.__file__).parent.glob("*.py")]
    asked = [call for text in sources for call in re.findall(r'"(?:queue|exchange)_declare",.*', text)]

    assert len(asked) >= 6
    assert all("passive=True" in call or "durable=True" in call for call in asked)
    assert [text for text in sources if re.search("exclusive=|auto_delete=|global_qos=|internal=", text)] == []


def test_messages_have_the_life_and_the_number_that_the_layer_promises():
    assert QUEUES["messages"] == {
        "x-queue-type": "classic",
        "x-expires": 120_000,
        "x-message-ttl": 60_000,
        "x-max-length": 100,
        "x-overflow": "reject-publish-dlx",
        "x-dead-letter-exchange": "shop:dead",
    }


def test_a_membership_lapses_unless_it_is_renewed():
    assert QUEUES["members"]["x-message-ttl"] == 86_400_000


def test_numbers_fit_what_the_broker_counts_with():
    arguments = message_queue(Limits(10.0**9, 10.0**9), 100, NAMES)

    assert arguments["x-message-ttl"] == arguments["x-expires"] == 2**32 - 1
