"""`channels.layers.redis.memory`: what was read once is known, for a while."""

import sys
import threading

import pytest

from channels.layers.redis.memory import Memory


def test_an_id_is_new_once():
    memory = Memory(seconds=10)

    assert [memory.is_new(b"a", 0), memory.is_new(b"b", 1), memory.is_new(b"a", 10)] == [True, True, False]


def test_ids_are_forgotten_when_their_time_is_over_so_that_memory_is_bounded():
    memory = Memory(seconds=10)
    for number in range(1000):
        memory.is_new(b"%d" % number, now=number)

    assert len(memory._taken) == 11


def test_it_is_empty_when_the_time_of_all_ids_is_over():
    memory = Memory(seconds=10)
    memory.is_new(b"a", 0)

    assert [memory.is_empty(10), memory.is_empty(11)] == [False, True]


@pytest.fixture
def hasty():
    """Let threads take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def test_threads_that_remember_and_forget_at_once_do_not_disturb_each_other(hasty):
    memory, failures = Memory(seconds=0), []

    def remember(name):
        try:
            for number in range(20_000):
                memory.is_new(b"%d %d" % (name, number), now=number)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=remember, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
