"""What belongs to open sockets is set aside from the collections of garbage, and comes back."""

import gc

import pytest

from channels.interface.garbage import LEAST_ENDED, SET_ASIDE_AFTER, Garbage


@pytest.fixture
def garbage():
    gc.unfreeze()
    yield Garbage()
    gc.unfreeze()


def open_sockets(garbage, number=SET_ASIDE_AFTER):
    for _ in range(number):
        garbage.socket_opens()


def end_sockets(garbage, left, number=LEAST_ENDED):
    for _ in range(number):
        garbage.socket_ends(left)


def test_what_there_is_is_set_aside_when_many_sockets_have_opened(garbage):
    open_sockets(garbage, SET_ASIDE_AFTER - 1)
    before = gc.get_freeze_count()
    open_sockets(garbage, 1)

    assert before == 0
    assert gc.get_freeze_count() > 1000


@pytest.mark.parametrize(("left", "comes_back"), [(0, True), (LEAST_ENDED, True), (LEAST_ENDED + 1, False)])
def test_it_comes_back_when_as_many_sockets_have_ended_as_are_open(garbage, left, comes_back):
    open_sockets(garbage)
    end_sockets(garbage, left)

    assert (gc.get_freeze_count() == 0) is comes_back


def test_after_that_nothing_is_set_aside_before_it_was_looked_at(garbage):
    open_sockets(garbage)
    end_sockets(garbage, left=0)
    gc.disable()
    try:
        open_sockets(garbage)
        before = gc.get_freeze_count()
        gc.collect()
        open_sockets(garbage)
    finally:
        gc.enable()

    assert before == 0
    assert gc.get_freeze_count() > 1000
