"""The layer against a model of thirty lines for each of its ideas: whatever is done to both, both do the same."""

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
QUEUES = ["jobs", "reply.x!"]
GROUPS = ["room", "hall"]
EXPIRY, GROUP_EXPIRY, CAPACITY = 4, 3, 3
# They add up to either expiry in many ways, and to much less than the time between two sweeps.
SECONDS = [1, 2, 3]

channels = st.sampled_from(CHANNELS)
groups = st.sampled_from([*["room"] * 4, "hall"])


def queue_of(channel):
    return channel[: channel.index("!") + 1] if "!" in channel else channel


class Waiting:
    """A message in a queue, and the channels that are still to get it."""

    def __init__(self, content, recipients, dies):
        self.content = content
        self.recipients = recipients
        self.dies = dies
        # The first delivery takes a message out of the queue, though more may follow from it.
        self.fills = True


class Model:
    def __init__(self):
        self.now = 0
        self.queues = collections.defaultdict(list)
        # {(group, channel): when the membership lapses}
        self.memberships = {}
        self.dropped = 0

    def push(self, channel, content, recipients):
        waiting = self.queues[queue_of(channel)]
        if sum(message.fills for message in waiting) >= CAPACITY:
            return False
        waiting.append(Waiting(content, recipients, self.now + EXPIRY))
        return True

    def members(self, group):
        return sorted(
            channel for (name, channel), lapses in self.memberships.items() if name == group and lapses > self.now
        )

    def send_group(self, group, content):
        by_queue = collections.defaultdict(set)
        for channel in self.members(group):
            by_queue[queue_of(channel)].add(channel)
        for queue, recipients in by_queue.items():
            self.dropped += not self.push(queue, content, recipients)

    def take(self, queue, channel, content):
        """Take what the layer has taken; a broadcast may reach the members in any order."""
        message = self.queues[queue][0]
        assert (content, channel in message.recipients) == (message.content, True)
        message.recipients.remove(channel)
        message.fills = False
        if not message.recipients:
            del self.queues[queue][0]

    def advance(self, seconds):
        """Let time pass, and return the messages that have expired, by queue."""
        self.now += seconds
        expired = {}
        for queue, waiting in list(self.queues.items()):
            expired[queue] = [message for message in waiting if message.dies <= self.now]
            self.queues[queue] = [message for message in waiting if message.dies > self.now]
        return expired


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
        if self.model.push(channel, message, {channel}):
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
            if not self.model.push(channel, {"number": self.count}, {channel}):
                refused.append(send)

        assert self.layer.send_many(batch) == refused

    @rule(group=groups)
    def send_group(self, group):
        message = self.new_message()
        self.model.send_group(group, message)
        self.layer.send_group(group, message)

    @rule(queue=st.sampled_from(QUEUES), count=st.integers(1, 4))
    def receive(self, queue, count):
        for _ in range(count):
            channel, message = self.layer.receive([queue])
            if self.model.queues[queue]:
                self.model.take(queue, channel, message)
            else:
                assert (channel, message) == (None, None)

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
        expired = self.model.advance(seconds)
        self.clock.advance(seconds)
        for group, channel in list(self.model.memberships):
            messages = expired.get(queue_of(channel))
            if messages:
                # Who lets messages expire is taken out of its groups, unless it has read a part of them.
                if any(message.fills for message in messages):
                    assert channel not in self.layer.group_channels(group)
                # The reader of a process queue, should it come back, does not know: it is told.
                del self.model.memberships[group, channel]
                self.layer.group_discard(group, channel)

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

        assert figures["messages_pending"] == sum(
            message.fills for waiting in self.model.queues.values() for message in waiting
        )
        assert figures["dropped"].get("full, group message", 0) == self.model.dropped

    def teardown(self):
        for group in GROUPS:
            self.compare_members(group)
        self.compare_figures()
        while any(self.model.queues.values()):
            channel, message = self.layer.receive(QUEUES)
            assert channel is not None
            self.model.take(queue_of(channel), channel, message)
        assert self.layer.receive(QUEUES) == (None, None)


TestLayerAndModel = LayerMachine.TestCase
TestLayerAndModel.settings = settings(max_examples=500, stateful_step_count=50, deadline=None)
