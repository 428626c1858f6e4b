"""Listening to the signals of a stop without taking them away from anybody."""

import signal
import threading

import pytest

from channels.interface.signals import watch_stop_signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_is_heard_first_and_handed_on(number):
    heard = []
    signal.signal(number, lambda *arguments: heard.append(arguments[0]))

    watch_stop_signals(lambda: heard.append("stop"))
    signal.raise_signal(number)

    assert heard == ["stop", number]


@pytest.mark.parametrize("handler", [signal.SIG_DFL, signal.SIG_IGN])
def test_a_signal_that_nobody_handles_is_left_alone(handler):
    signal.signal(signal.SIGTERM, handler)

    watch_stop_signals(lambda: None)

    assert signal.getsignal(signal.SIGTERM) is handler


def test_outside_the_main_thread_nothing_happens():
    before = signal.getsignal(signal.SIGINT)

    thread = threading.Thread(target=watch_stop_signals, args=[lambda: None])
    thread.start()
    thread.join()

    assert signal.getsignal(signal.SIGINT) is before
