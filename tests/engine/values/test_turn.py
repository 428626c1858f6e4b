"""`channels.values.turn`: whoever has much to do gives way every millisecond."""

import asyncio

from channels.values.turn import LENGTH, Turn

from ..layers.fake_clock import FakeClock


def test_a_turn_is_over_after_a_millisecond():
    clock = FakeClock()
    turn = Turn(clock)
    at_its_beginning = turn.is_over
    clock.advance(0.9 * LENGTH)
    shortly_before = turn.is_over
    clock.advance(0.2 * LENGTH)

    assert (at_its_beginning, shortly_before, turn.is_over) == (False, False, True)


def test_who_gives_way_goes_on_after_all_others_with_a_turn_of_its_own():
    clock, done = FakeClock(), []

    async def work(name):
        turn = Turn(clock)
        for number in range(4):
            if turn.is_over:
                await turn.give_way()
            clock.advance(0.6 * LENGTH)
            done.append((name, number))

    async def work_together():
        await asyncio.gather(work("a"), work("b"))

    asyncio.run(work_together())

    assert done == [("a", 0), ("a", 1), ("b", 0), ("b", 1), ("a", 2), ("a", 3), ("b", 2), ("b", 3)]
