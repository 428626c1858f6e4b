"""`channels.layers.redis.memory`: what was read once is known, for a while."""

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
