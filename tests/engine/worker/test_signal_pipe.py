"""`channels.worker.signal_pipe`: signals are read by the main thread, where it waits for them."""

import os
import signal

import pytest

from channels.worker.signal_pipe import SignalPipe


@pytest.fixture
def pipe():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield SignalPipe(*before)
    signal.set_wakeup_fd(-1)
    for number, handler in before.items():
        signal.signal(number, handler)


def test_signals_are_read_in_the_order_in_which_they_came(pipe):
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGHUP):
        os.kill(os.getpid(), number)

    assert pipe.wait() == [signal.SIGHUP, signal.SIGTERM, signal.SIGHUP]
    assert pipe.wait(timeout=0) == []


def test_the_wait_ends_when_something_else_can_be_read(pipe):
    reader, writer = os.pipe()
    os.write(writer, b"1")

    assert pipe.wait(timeout=60, other=reader) == []
