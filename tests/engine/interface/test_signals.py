"""Listening to the signals of a stop without taking them away from anybody."""

import asyncio
import os
import signal
import threading

import pytest

from channels.interface.signals import watch_stop_signals


@pytest.fixture
def loop():
    with asyncio.Runner() as runner:
        yield runner.get_loop()


def run(loop, *actions):
    """Do something while the loop runs."""
    for action in actions:
        loop.call_soon(action)
    loop.run_until_complete(asyncio.sleep(0.01))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_is_heard_first_and_handed_on_when_that_is_wanted(number, loop):
    heard, hand_on = [], []
    signal.signal(number, lambda *arguments: heard.append(arguments[0]))

    watch_stop_signals(loop, hand_on.append)
    run(loop, lambda: signal.raise_signal(number))
    before = list(heard)
    hand_on[0]()

    assert (before, heard) == ([], [number])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_handed_on_at_once_when_the_loop_has_ended(number, loop):
    heard = []
    signal.signal(number, lambda *arguments: heard.append("server"))

    watch_stop_signals(loop, lambda hand_on: heard.append("stop"))
    signal.raise_signal(number)

    assert heard == ["server"]


def test_a_signal_that_an_event_loop_handles_is_heard_first_too(loop):
    heard, hand_on = [], []
    loop.add_signal_handler(signal.SIGTERM, heard.append, "server")

    watch_stop_signals(loop, hand_on.append)
    run(loop, lambda: os.kill(os.getpid(), signal.SIGTERM))
    before = list(heard)
    hand_on[0]()

    assert (before, heard) == ([], ["server"])


def test_a_second_interrupt_does_not_wait(loop):
    heard = []
    signal.signal(signal.SIGINT, lambda *arguments: heard.append("server"))

    watch_stop_signals(loop, lambda hand_on: heard.append("stop"))
    run(loop, *[lambda: signal.raise_signal(signal.SIGINT)] * 2)

    assert heard == ["stop", "server"]


@pytest.mark.parametrize("handler", [signal.SIG_DFL, signal.SIG_IGN])
def test_a_signal_that_nobody_handles_is_left_alone(handler, loop):
    signal.signal(signal.SIGTERM, handler)

    watch_stop_signals(loop, lambda hand_on: None)

    assert signal.getsignal(signal.SIGTERM) is handler


def test_outside_the_main_thread_nothing_happens(loop):
    before = signal.getsignal(signal.SIGINT)

    thread = threading.Thread(target=watch_stop_signals, args=[loop, lambda hand_on: None])
    thread.start()
    thread.join()

    assert signal.getsignal(signal.SIGINT) is before
