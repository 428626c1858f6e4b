"""The layer against a model of thirty lines for each of its ideas: whatever is done to both, both do the same."""

import asyncio
import collections

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from channels.exceptions import ChannelFull
from channels.layers.inmemory import InMemoryChannelLayer

from .fake_clock import FakeClock

# Few, so that much happens to each of them.
CHANNELS = ["jobs", "reply.x!1", "reply.x!2"]
GROUPS = ["room", "hall"]
EXPIRY, GROUP_EXPIRY, CAPACITY = 4, 3, 3
# They add up to either expiry in many ways, and to much less than the time between two sweeps.
SECONDS = [1, 2, 3]

channels = st.sampled_from(CHANNELS)
groups = st.sampled_from([*["room"] * 4, "hall"])


def queue_of(channel):
    return channel[: channel.index("!") + 1] if "!" in channel else channel


def local_part(channel):
    return channel.partition("!")[2]


class Model:
    def __init__(self):
        self.now = 0
        # {queue: [(the time when it expires, local part, group, content)]}
        self.queues = collections.defaultdict(list)
        # {(group, channel): when the membership lapses}
        self.memberships = {}
        self.dropped = 0

    def push(self, queue, local, group, content):
        waiting = self.queues[queue]
        if len(waiting) >= CAPACITY:
            return False
        waiting.append((self.now + EXPIRY, local, group, content))
        return True

    def members(self, group):
        return sorted(
            channel for (name, channel), lapses in self.memberships.items() if name == group and lapses > self.now
        )

    def send_group(self, group, content):
        for queue in {queue_of(channel) for channel in self.members(group)}:
            self.dropped += not self.push(queue, "", group, content)

    def advance(self, seconds):
        """Let time pass; who lets messages expire is taken out of its groups."""
        self.now += seconds
        for queue, waiting in self.queues.items():
            living = [message for message in waiting if message[0] > self.now]
            if living != waiting:
                self.queues[queue] = living
                for group, channel in list(self.memberships):
                    if queue_of(channel) == queue:
                        del self.memberships[group, channel]


class LayerMachine(RuleBasedStateMachine):
    """Does the same things to a layer and to the model."""

    @initialize()
    def start(self):
        self.clock = FakeClock()
        self.layer = InMemoryChannelLayer(
            clock=self.clock,
            expiry=EXPIRY,
            group_expiry=GROUP_EXPIRY,
            capacity=CAPACITY,
            channel_capacity={"reply.*!": CAPACITY},
        )
        self.model = Model()
        self.count = 0

    def new_message(self):
        self.count += 1
        return {"number": self.count}

    @rule(channel=channels)
    def send(self, channel):
        message = self.new_message()
        if self.model.push(queue_of(channel), local_part(channel), "", message):
            self.layer.send(channel, message)
        else:
            with pytest.raises(ChannelFull):
                self.layer.send(channel, message)

    @rule(channels=st.lists(channels, min_size=2, max_size=4))
    def send_batch(self, channels):
        batch, refused = [], []
        for channel in channels:
            send = self.layer.prepare(channel, self.new_message())
            batch.append(send)
            if not self.model.push(queue_of(channel), local_part(channel), "", {"number": self.count}):
                refused.append(send)

        assert self.layer.send_many(batch) == refused

    @rule(group=groups)
    def send_group(self, group):
        message = self.new_message()
        self.model.send_group(group, message)
        self.layer.send_group(group, message)

    @rule(count=st.integers(1, 4))
    def receive(self, count):
        for _ in range(count):
            expected = ("jobs", self.model.queues["jobs"].pop(0)[3]) if self.model.queues["jobs"] else (None, None)
            assert self.layer.receive(["jobs"]) == expected

    @precondition(lambda self: self.model.queues["reply.x!"])
    @rule()
    def read_queue(self):
        entries = asyncio.run(self.layer.read_queue("reply.x!"))
        messages = [(entry.local, entry.group, entry.content) for entry in entries if entry.content is not None]
        assert messages == [message[1:] for message in self.model.queues.pop("reply.x!")]

    @rule(group=groups, channels=st.lists(channels, min_size=1, max_size=3, unique=True))
    def join(self, group, channels):
        for channel in channels:
            self.model.memberships[group, channel] = self.model.now + GROUP_EXPIRY
            self.layer.group_add(group, channel)

    @rule(group=groups, channel=channels)
    def leave(self, group, channel):
        self.model.memberships.pop((group, channel), None)
        self.layer.group_discard(group, channel)

    @rule(seconds=st.sampled_from(SECONDS))
    def advance(self, seconds):
        self.model.advance(seconds)
        self.clock.advance(seconds)

    # Now and then: a flush ends every story.
    @precondition(lambda self: self.count % 10 == 9)
    @rule()
    def flush(self):
        self.layer.flush()
        self.model.queues.clear()
        self.model.memberships.clear()

    # Rules and no invariants: a layer that is asked for its figures looks for what has expired.

    @rule(group=groups)
    def compare_members(self, group):
        assert sorted(self.layer.group_channels(group)) == self.model.members(group)

    @rule()
    def compare_figures(self):
        figures = self.layer.global_statistics()

        assert figures["messages_pending"] == sum(map(len, self.model.queues.values()))
        assert figures["dropped"].get("full, group message", 0) == self.model.dropped

    def teardown(self):
        for group in GROUPS:
            self.compare_members(group)
        self.compare_figures()
        self.receive(CAPACITY + 1)
        if self.model.queues["reply.x!"]:
            self.read_queue()


TestLayerAndModel = LayerMachine.TestCase
TestLayerAndModel.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
