"""`channels.worker.watchdog`: who runs too long is named, with the line it is at, and the layer is told who runs."""

import threading
import time

from channels.exceptions import ChannelLayerUnavailable
from channels.layers.base import Ticket, UnderWay
from channels.layers.inmemory import InMemoryChannelLayer
from channels.layers.origin import Origin
from channels.message import Message
from channels.values.outage import Outage
from channels.worker.watchdog import RunningConsumer, report_running, warn_of_slow, watch


def running_consumer(consumer, content=None, origin=None):
    return RunningConsumer(consumer, Message(content or {}, "orders", InMemoryChannelLayer(), origin))


def test_a_consumer_that_runs_too_long_is_warned_about_once_with_the_line_it_is_at(caplog):
    let_go, begun = threading.Event(), threading.Event()
    running = []

    def dawdle():
        running.append(running_consumer(dawdle))
        begun.set()
        let_go.wait(10)

    thread = threading.Thread(target=dawdle)
    thread.start()
    begun.wait(10)
    warn_of_slow(running, limit=10, now=running[0].started + 9)
    early = caplog.text
    warn_of_slow(running, limit=10, now=running[0].started + 11)
    warn_of_slow(running, limit=10, now=running[0].started + 22)
    let_go.set()
    thread.join()

    assert early == ""
    assert len(caplog.records) == 1
    assert "dawdle with <Message on orders> has been running for 11 s" in caplog.text
    assert "let_go.wait(10)" in caplog.text


def test_a_worker_that_waits_is_not_slow(caplog):
    warn_of_slow([None], limit=0, now=1e9)

    assert caplog.text == ""


def test_the_watch_ends_when_it_is_told_to():
    stop, looks = threading.Event(), []

    def look():
        looks.append("look")
        stop.set()
        return []

    watch(look, limit=0.001, stop=stop)

    assert looks == ["look"]


class Listener:
    """A layer that notes what worker processes say of themselves. ``stop`` is set when it has heard enough."""

    lease_interval = 0.001

    def __init__(self, enough):
        self.enough, self.stop = enough, threading.Event()
        self.heard = []
        self.outage = Outage()

    def renew_worker(self, worker, held):
        self._hear(worker, held)

    def end_worker(self, worker):
        self._hear(worker, "ended")

    def send_group(self, group, content):
        self.heard_by_processes = group, content

    def _hear(self, worker, said):
        self.heard.append((worker, said))
        if len(self.heard) >= self.enough:
            self.stop.set()


def test_a_layer_is_told_again_and_again_what_a_process_is_working_on_and_then_that_it_ends():
    layer = Listener(enough=2)
    of_a_lane = running_consumer(len, {"reply_channel": "reply.x!1"}, Origin(None, "reply.x!1", Ticket(3)))
    # A consumer does what it likes with its message.
    of_a_lane.message.reply_channel = None
    running = [of_a_lane, running_consumer(len, {"reply_channel": "reply.x!2", "order": 4})]

    report_running(
        layer, ["orders"], lambda: [consumer.under_way(time.monotonic()) for consumer in running], layer.stop
    )

    workers, said = zip(*layer.heard, strict=True)
    held = [message._replace(seconds=0) for message in said[0]]
    assert held == [UnderWay("orders", "reply.x!1", 3), UnderWay("orders", "reply.x!2")]
    assert [message.seconds >= 0 for message in said[1]] == [True, True]
    assert said[2:] == ("ended",)
    assert len(set(workers)) == 1
    assert layer.heard_by_processes == ("channels.interface-processes", {"reads": ["orders"]})


def test_a_layer_that_fails_is_told_again_and_the_failure_is_logged_once(caplog):
    class Failing(Listener):
        def renew_worker(self, worker, held):
            super().renew_worker(worker, held)
            raise OSError("gone")

    layer = Failing(enough=3)

    report_running(layer, [], list, layer.stop)

    assert len(layer.heard) == 4
    assert caplog.messages == ["This process cannot reach the channel layer, and goes on trying: gone"]


def test_interface_processes_hear_of_a_worker_whose_lease_cannot_be_renewed():
    class Failing(Listener):
        def renew_worker(self, worker, held):
            super().renew_worker(worker, held)
            raise ChannelLayerUnavailable("the first of two hosts is away")

    layer = Failing(enough=1)

    report_running(layer, ["orders"], list, layer.stop)

    assert layer.heard_by_processes == ("channels.interface-processes", {"reads": ["orders"]})


def test_an_end_that_a_layer_cannot_be_told_is_logged_without_a_traceback(caplog):
    class Away(Listener):
        def end_worker(self, worker):
            raise ChannelLayerUnavailable("nobody listens")

    layer = Away(enough=1)

    report_running(layer, [], list, layer.stop)

    assert "could not be told that this worker process ends, but will notice: nobody listens" in caplog.text
    assert "Traceback" not in caplog.text


def test_that_a_layer_was_told_does_not_end_the_outage_of_others(caplog):
    layer = Listener(enough=3)
    layer.outage.goes_on(OSError("gone"))

    report_running(layer, [], list, layer.stop)

    assert caplog.messages == ["This process cannot reach the channel layer, and goes on trying: gone"]
